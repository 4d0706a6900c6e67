//! Secrets, and every place where they could turn up.

use authz::{Request, Role};
use identity::{
    Exchange, Gate, Link, NewProvider, NewToken, PasswordChange, PasswordSignIn, ProviderSettings, ProviderSignIn,
    Rotation, TokenRef, User, Verifier,
};
use kernel::{Secret, Text};
use serde_json::json;
use store::{sql, values};
use testkit::Tester;

use crate::idp::{self, Idp, SECRET, tokens};
use crate::sign_in::{client, enter};
use crate::world::{Look, World, new_key};

const PASSWORD: &str = "canary of a password 7";
const GUESS: &str = "canary of a guess 7";
const CLIENT_SECRET: &str = "canary-of-a-client-secret";
const SUBJECT: &str = "canary-of-a-subject@idp";

/// Every secret that was used, and all that was printed meanwhile.
#[derive(Default)]
struct Trail {
    secrets: Vec<String>,
    printed: String,
}

impl Trail {
    fn print(&mut self, value: &dyn std::fmt::Debug) {
        self.printed.extend([format!("{value:?}\n"), format!("{value:#?}\n")]);
    }

    fn keep(&mut self, secret: &Secret<String>) {
        self.secrets.push(secret.expose().clone());
    }
}

/// Uses every kind of secret there is, rightly and wrongly.
fn live(world: &World<'_>) -> Trail {
    let mut trail = Trail::default();
    let ours = String::from_utf8(SECRET.to_vec()).unwrap();
    trail.secrets.extend([PASSWORD, GUESS, CLIENT_SECRET, SUBJECT, &ours].map(str::to_owned));
    let (gate, olivia) = (Gate::default(), world.user("olivia", [Role::Operator]));
    sign_in(world, &gate, &olivia, &mut trail);
    make_credentials(world, &olivia, &mut trail);
    believe_a_provider(world, &gate, &olivia, &mut trail);
    trail.print(&(&world.directory, &gate));
    trail
}

fn sign_in(world: &World<'_>, gate: &Gate, olivia: &User, trail: &mut Trail) {
    let (db, at) = (&world.tester.db, &world.tester.moment());
    let change = PasswordChange { user: olivia.id.clone(), new: Secret::new(PASSWORD.to_owned()), current: None };
    trail.print(&change);
    identity::set_password(db, gate, &world.tester.again(&world.bob), change, at).unwrap();
    world.directory.refresh_changed(db).unwrap();
    for password in [GUESS, PASSWORD] {
        let (tenant, username) = (world.acme.tenant.id.clone(), "olivia".parse().unwrap());
        let asked = PasswordSignIn { tenant, username, password: Secret::new(password.to_owned()), client: client() };
        trail.print(&asked);
        let signed_in = identity::sign_in_with_password(db, gate, &world.directory, asked, at);
        trail.print(&signed_in);
        if let Ok(session) = signed_in {
            let entered = enter(world, &session).unwrap();
            trail.print(&entered);
            let renewed = identity::renew_session(db, &entered.authenticated.caller, at).unwrap();
            trail.print(&identity::csrf_token(renewed.secret.expose()));
            trail.print(&enter(world, &session));
            trail.keep(&session.secret);
            trail.keep(&renewed.secret);
        }
    }
}

fn make_credentials(world: &World<'_>, olivia: &User, trail: &mut Trail) {
    let (db, at, bob) = (&world.tester.db, &world.tester.moment(), || world.tester.again(&world.bob));
    let key = identity::create_key(db, &bob(), new_key(&olivia.id), at).unwrap();
    let rotation = Rotation { overlap_seconds: 60, expires_at: None };
    let rotated = identity::rotate_key(db, &bob(), &key.key.id, rotation, at).unwrap();
    trail.print(&(&key, &rotated));
    let (tokens, caller) = (tokens(), world.enter(&rotated));
    let token = identity::issue_token(db, &tokens, &caller, NewToken::default(), at).unwrap();
    let verifier = Verifier { tokens: &tokens, directory: &world.directory, keys: &idp::no_keys };
    let asked = Exchange { subject_token: token.token.expose(), from: None, scopes: None, expires_in_seconds: None };
    trail.print(&(&asked, &verifier, &tokens, &token));
    let exchanged = identity::exchange_token(db, &verifier, &bob(), asked, at).unwrap();
    trail.print(&idp::present(world, &format!("{}x", token.token.expose())));
    let revoked = TokenRef::Token(token.token.expose());
    identity::revoke_token(db, &verifier, &bob(), revoked, at).unwrap();
    trail.print(&revoked);
    trail.print(&idp::present(world, token.token.expose()));
    identity::report_leaked(db, &world.directory, key.secret.expose(), at).unwrap();
    trail.print(&world.present(key.secret.expose()));
    trail.keep(&key.secret);
    trail.keep(&rotated.secret);
    trail.keep(&token.token);
    trail.keep(&exchanged.token);
}

fn believe_a_provider(world: &World<'_>, gate: &Gate, olivia: &User, trail: &mut Trail) {
    let (db, at, idp) = (&world.tester.db, &world.tester.moment(), Idp::new("k1"));
    let client_secret = Some(Secret::new(CLIENT_SECRET.to_owned()));
    let settings = ProviderSettings { provision: true, ..idp.settings() };
    let new = NewProvider { name: Text::new("idp").unwrap(), settings, client_secret };
    trail.print(&new);
    let provider = identity::create_provider(db, &world.tester.again(&world.bob), new, at).unwrap();
    let link = Link { provider: provider.id.clone(), user: olivia.id.clone(), subject: SUBJECT.to_owned() };
    trail.print(&link);
    identity::link_user(db, &world.tester.again(&world.bob), &link, at).unwrap();
    let bearer = idp.token(world, SUBJECT, json!({ "act": { "sub": SUBJECT } }));
    trail.print(&idp::present(world, &bearer));
    trail.print(&idp::present(world, &idp.token(world, "somebody new", json!({}))));
    let claims = idp.claims(world, SUBJECT, json!({}));
    let (tenant, provider) = (world.acme.tenant.id.clone(), provider.id);
    let asked = ProviderSignIn { tenant, provider, claims: &claims, client: client() };
    trail.print(&asked);
    let session = identity::sign_in(db, gate, &world.directory, asked, at).unwrap();
    trail.print(&session);
    trail.secrets.push(bearer);
    trail.keep(&session.secret);
}

/// The part of a secret that proves something: what stands before it names it.
fn proof(secret: &str) -> &str {
    let body = secret.split_once('.').filter(|_| secret.starts_with("tfs_")).map_or(secret, |(body, _)| body);
    if body.starts_with("tf") && body.len() == 66 { &body[17..60] } else { body }
}

#[test]
fn no_secret_is_printed_or_written_into_an_entry() {
    testkit::on_both_engines(|tester| {
        let world = World::new(tester);
        let Trail { secrets, printed } = live(&world);
        let grant = tester.again(&world.bob).authorize::<Look>().unwrap();
        let payloads = tester.db.read(&grant, |tx| {
            let sealed = tx.all(
                sql!("SELECT seq, sealed FROM ledger_payloads WHERE tenant_id = $1 ORDER BY seq"),
                values![],
                |row| Ok((row.get::<i64>()?, row.get::<Vec<u8>>()?)),
            )?;
            let open =
                |(seq, sealed): (i64, Vec<u8>)| tx.open(("ledger_payloads", "sealed", &seq.to_string()), &sealed);
            sealed.into_iter().map(open).collect::<Result<Vec<_>, _>>()
        });
        let payloads: Vec<u8> = payloads.unwrap().concat();
        let payloads = String::from_utf8_lossy(&payloads).into_owned();
        assert!(payloads.contains("olivia"), "payloads are read, or this test looks in the wrong place");
        let leaves = crate::secrecy::leaves(tester, &world.bob).concat();
        for secret in secrets.iter().map(|secret| proof(secret)) {
            for (place, text) in [("a payload", &payloads), ("a leaf", &leaves), ("what was printed", &printed)] {
                assert!(!text.contains(secret), "{secret} is in {place}");
            }
        }
        assert_eq!(Request::made(&tester.moment()).recorded(), None);
    });
}

#[test]
fn no_secret_lies_in_the_database_files() {
    let tester = Tester::sqlite();
    let world = World::new(&tester);
    let Trail { secrets, printed: _ } = live(&world);
    let directory = tester.data_directory().unwrap();
    let files = std::fs::read_dir(directory).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let bytes: Vec<u8> = files.flatten().collect();
    let written = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(written("olivia"), "this is where users are kept");
    for secret in &secrets {
        assert!(!written(proof(secret)), "{secret}");
    }
}
