//! `taskforce demo`: the main job from beginning to end, over HTTP only, as a client would do it.

mod calls;
mod cast;
mod ending;
mod evidence;
mod lifecycle;
mod proof;
mod scene;
mod story;

use std::path::PathBuf;

use crate::cli::DemoArgs;
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

/// `taskforce demo`.
pub(crate) fn run(args: &DemoArgs, environment: &Environment, output: &mut Output) -> Result<Verdict, Failure> {
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
fn folder(args: &DemoArgs) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    if let Some(folder) = &args.data {
        return Ok((folder.clone(), None));
    }
    let scratch = tempfile::Builder::new().prefix("taskforce-demo-").tempdir()?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}
