// A real OpenID provider on loopback that does what a test says: `node server.mjs MODULES SETTINGS`.
//
// MODULES is the folder that holds node_modules, SETTINGS is JSON: { clients, accounts }. It prints its issuer when it
// listens, and ends when its standard input does, so that it never outlives the test that started it.
import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// The provider warns that a test is no production.
console.info = console.warn = () => {};

const [modules, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const entry = createRequire(join(modules, 'package.json')).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(entry));

const accounts = new Map(settings.accounts.map((account) => [account.sub, account]));
const counts = { discovery: 0, jwks: 0, token: 0 };
const server = createServer(handle);
let issuer;
let keys = [];
let made = 0;
let provider;
let tampering = {};
let silent = false;
let person = settings.accounts[0].sub;

function addKey() {
  made += 1;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  // The first one that fits signs.
  keys.unshift({ ...privateKey.export({ format: 'jwk' }), kid: `key-${made}`, alg: 'RS256', use: 'sig' });
}

// Sessions, grants and codes are kept beside the instances, so a new one goes on where the old one stopped.
function renew() {
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: settings.clients,
    clientDefaults: { id_token_signed_response_alg: 'RS256' },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: false,
    cookies: { keys: ['only for tests'] },
    extraTokenClaims: () => ({ groups: accounts.get(person).groups }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: 'api',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    findAccount: (_ctx, sub) => accounts.has(sub) && { accountId: sub, claims: () => accounts.get(sub) },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  });
  provider.use(tamper);
}

// Changes the claims of identity tokens and signs them anew: what a provider with other ideas would send.
async function tamper(ctx, next) {
  await next();
  if (ctx.oidc?.route !== 'token' || !ctx.body?.id_token || Object.keys(tampering).length === 0) {
    return;
  }
  const [head, claims] = ctx.body.id_token.split('.');
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url')), ...tampering };
  if (changed.at_hash === 'right') {
    const digest = createHash('sha256').update(ctx.body.access_token).digest();
    changed.at_hash = digest.subarray(0, 16).toString('base64url');
  }
  const signed = `${head}.${Buffer.from(JSON.stringify(changed)).toString('base64url')}`;
  const key = createPrivateKey({ format: 'jwk', key: keys[0] });
  ctx.body.id_token = `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

// Signs the present person in and consents, without a page.
async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: person } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } });
}

// Orders of the test. An order answers with a JSON object.
const orders = {
  counts: () => counts,
  now: () => ({ micros: Date.now() * 1000 }),
  // A new key signs; those before it stay published.
  rotate: () => {
    addKey();
    renew();
    return { kid: keys[0].kid };
  },
  // Only the newest key stays published.
  retire: () => {
    keys = keys.slice(0, 1);
    renew();
    return { kid: keys[0].kid };
  },
  // Connections end without an answer, until told otherwise.
  silence: (on) => {
    silent = on;
    return {};
  },
  // Claims that replace those of identity tokens. The `at_hash` called `right` becomes the right one.
  tamper: (claims) => {
    tampering = claims;
    return {};
  },
  // Who signs in from now on.
  person: (sub) => {
    person = sub;
    return {};
  },
};

async function read(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString() || 'null');
}

async function handle(request, response) {
  const path = request.url.split('?')[0];
  if (path.startsWith('/control/')) {
    const answer = orders[path.slice('/control/'.length)](await read(request));
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify(answer));
  }
  if (silent) {
    return request.socket.destroy();
  }
  if (path === '/.well-known/openid-configuration') counts.discovery += 1;
  if (path === '/jwks') counts.jwks += 1;
  if (path === '/token') counts.token += 1;
  if (path.startsWith('/interaction/')) {
    return interact(request, response);
  }
  return provider.callback()(request, response);
}

process.stdin.on('end', () => process.exit(0)).resume();
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  addKey();
  renew();
  console.log(issuer);
});
