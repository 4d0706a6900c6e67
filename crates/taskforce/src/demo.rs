//! `taskforce demo`: the main job from beginning to end, over HTTP only, as a client would do it.

mod calls;
mod cast;
mod ending;
mod evidence;
mod lifecycle;
mod proof;
mod scene;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::failure::{Failure, Verdict};
use crate::output::Output;
use crate::signals;

use scene::Scene;
use story::Story;

/// The tenant that the story is about.
const ACME: &str = "acme-corp";
/// Another one on the same server.
const GLOBEX: &str = "globex";

/// What the demonstration is told.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Keep the data in this directory, which must be new. Default: nothing is left.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Stay up on 127.0.0.1:8070 at the end, until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Listen on this address. Default: a free port, or with --keep 127.0.0.1:8070.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Call this model server, which speaks the OpenAI protocol, instead of the bundled replay of recorded
    /// conversations: where its API starts, such as `https://api.openai.com/v1`.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The environment variable that holds the model server's key.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    pub(crate) upstream_key_env: Option<String>,
    /// The model that the agent uses.
    #[arg(long, default_value = crate::replay::MODEL)]
    pub(crate) model: String,
}

/// `taskforce demo`.
pub(crate) fn run(args: &Args, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (folder, scratch) = folder(args)?;
    let scene = Scene::set(args, &folder, environment)?;
    let mut story = Story::new(output, &scene);
    let told = runtime.block_on(async {
        scene::open(&mut story, &scene);
        cast::appear(&mut story).await?;
        lifecycle::publish(&mut story, &args.model).await?;
        calls::make(&mut story).await?;
        calls::refuse(&mut story).await?;
        evidence::show(&mut story).await?;
        proof::verify(&mut story, &scene).await?;
        ending::close(&mut story, &scene, args)?;
        let facts = story.facts();
        story.output.json_or(&facts, |_| {});
        if args.keep {
            signals::stop()?.await;
        }
        Ok::<_, Failure>(())
    });
    let scene_ended = scene.end();
    told?;
    scene_ended?;
    drop(scratch);
    Ok(Verdict::Well)
}

/// Where the demonstration keeps its data: where it was told to, or where nothing is left of it.
fn folder(args: &Args) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    if let Some(folder) = &args.data {
        return Ok((folder.clone(), None));
    }
    let scratch = tempfile::Builder::new().prefix("taskforce-demo-").tempdir()?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}
