//! Step 8: what is left, and what to do next.

use serde_json::json;

use super::Args;
use super::scene::Scene;
use super::story::Story;
use crate::environment::program;
use crate::failure::Failure;
use crate::home;
use crate::output::Look;

pub(super) fn close(story: &mut Story<'_>, scene: &Scene, args: &Args) -> Result<(), Failure> {
    story.begin("What next", "");
    let at = |name: &str| scene.folder.join(name).display().to_string();
    let facts = json!({
        "url": scene.url(),
        "keys": story.keys(),
        "agent_id": story.noted("agent_id"),
        "version_id": story.noted("version_id"),
        "package": at("acme-corp.tfpack"),
        "vkey": at("log.vkey"),
    });
    home::write_private(&scene.folder.join("demo.json"), &format!("{facts:#}\n"))?;
    if args.keep {
        stays(story, scene);
    } else if args.data.is_some() {
        let (data, taskforce) = (scene.folder.display(), program());
        story.output.line(format_args!("     Everything is in {data}; `demo.json` names the keys."));
        story.output.line(format_args!("     {taskforce} verify {data}/acme-corp.tfpack --key {data}/log.vkey"));
        story.output.line(format_args!("     {taskforce} doctor --data {data}"));
    } else {
        story.output.line("     Nothing is left of this demonstration. To look around in it:");
        story.output.line(format_args!("       {} demo --data demo-data --keep", program()));
    }
    story.output.line("     To govern an agent of your own:");
    story.output.line(format_args!("       {0} init && {0} serve", program()));
    story.output.line("     The README has it in six steps.");
    story.output.blank();
    story.end();
    Ok(())
}

/// What can be tried while the server stays.
fn stays(story: &mut Story<'_>, scene: &Scene) {
    let (data, url) = (scene.folder.display(), scene.url());
    story
        .output
        .styled(Look::Bold, format_args!("     The server stays up on {url} until Ctrl-C. In another terminal:"));
    story.output.line(format_args!("       export OPENAI_BASE_URL={url}/v1"));
    story.output.line(format_args!("       export OPENAI_API_KEY=$(jq -r .keys.olivia {data}/demo.json)"));
    story.output.line("       curl $OPENAI_BASE_URL/chat/completions -H \"authorization: Bearer $OPENAI_API_KEY\" \\");
    story.output.line("         -H 'content-type: application/json' \\");
    story.output.line("         -d '{\"model\": \"any\", \"messages\": [{\"role\": \"user\", \"content\": \"Where is my order 1042?\"}]}'");
    if scene.is_replay {
        story.output.line("     Answers come from the REPLAY of recorded conversations; --upstream asks a real model.");
    }
    story.output.blank();
}
