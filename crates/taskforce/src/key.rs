//! `taskforce key create`: a key made on the server's own machine, for whoever has lost theirs.

use kernel::{AgentId, TenantId};
use serde_json::json;

use crate::cli::KeyCreateArgs;
use crate::config::Settings;
use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::opening;
use crate::output::{Look, Output};

/// `taskforce key create`.
pub(crate) fn create(args: &KeyCreateArgs, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let settings = Settings::read(&args.places, environment)?;
    let tenant: TenantId =
        if args.platform { TenantId::system() } else { args.tenant.clone().unwrap_or_default().parse()? };
    let user = args.user.clone().unwrap_or_else(|| "platform".to_owned());
    let agent: Option<AgentId> = args.agent.as_deref().map(str::parse).transpose()?;
    let db = opening::open_existing(&settings, environment)?;
    let issued = identity::issue_local_key(&db, &tenant, &user.parse()?, agent, &db.moment())?;
    let value = json!({
        "key": issued.secret.expose(),
        "key_id": issued.key.id.as_str(),
        "tenant": tenant.as_str(),
        "user": user,
        "agent_id": issued.key.agent.as_ref().map(AgentId::as_str),
        "expires_at": issued.key.expires_at.to_string(),
    });
    output.json_or(&value, |output| {
        output.styled(Look::Bold, format_args!("A key for {user} in {tenant}. It is shown this once:"));
        output.blank();
        output.line(format_args!("  {}", issued.secret.expose()));
        output.blank();
        output.line(format_args!("It expires on {}. The ledger says that it was made here.", issued.key.expires_at));
    });
    Ok(Verdict::Well)
}
