//! `taskforce key issue`: a key made on the server's own machine, for whoever has lost theirs.

use kernel::{AgentId, TenantId};
use serde_json::json;

use crate::config::{Places, Settings};
use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::opening;
use crate::output::{Look, Output};

/// Whose key to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) places: Places,
    /// The tenant.
    #[arg(long, required_unless_present = "platform", requires = "user")]
    pub(crate) tenant: Option<String>,
    /// The user's name.
    #[arg(long, requires = "tenant")]
    pub(crate) user: Option<String>,
    /// Bind the key to an agent: calls with it are that agent's, and need not name it.
    #[arg(long, value_name = "AGENT_ID", requires = "tenant")]
    pub(crate) agent: Option<String>,
    /// Make a key for the platform administrator, who creates tenants.
    #[arg(long, conflicts_with_all = ["tenant", "user", "agent"])]
    pub(crate) platform: bool,
}

/// `taskforce key issue`.
pub(crate) fn run(args: &Args, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
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
