//! What governing a call costs, beside a bare proxy and beside no proxy at all.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::load::{Block, Target, median, quantile, request, rounds};
use super::product::{Product, Running, free_port, scratch};
use super::{figure, heading, release, resident};

pub(super) fn measure(root: &Path) -> Result<(), String> {
    let folder = scratch(root, "gateway")?;
    let tool = release(root, "xtask");
    let (upstream, bare) = (free_port()?, free_port()?);
    let mut mock = Running::start(Command::new(&tool).arg("bench-mock").arg(upstream.to_string()), upstream)?;
    mock.listening(Duration::from_secs(5))?;
    let forward = format!("127.0.0.1:{upstream}");
    let mut floor = Running::start(Command::new(&tool).arg("bench-floor").arg(bare.to_string()).arg(forward), bare)?;
    floor.listening(Duration::from_secs(5))?;
    let product = Product::start(root, &folder, upstream)?;
    for (stream, connections) in [(false, 1), (false, 32), (true, 1), (true, 16)] {
        let shape = if stream { "stream of 22 events" } else { "plain answer" };
        heading(&format!("gateway: {shape}, {connections} connections, an upstream that answers at once"));
        let target = |name, of: &Running, key: &str, model: &str| Target {
            name,
            port: of.port,
            pid: of.pid(),
            request: request(of.port, key, model, stream),
        };
        let targets = [
            target("direct", &mock, "none", "gpt-4o-mini"),
            target("bare proxy", &floor, "none", "gpt-4o-mini"),
            target("governed", &product.server, &product.key, &product.agent),
        ];
        show(&targets, &rounds(&targets, connections, Duration::from_secs(2))?);
    }
    heading("gateway: memory after the load");
    figure("resident", &format!("{:.1} MiB", resident(product.server.pid())), "goal: idle 40 MiB, no growth", "");
    drop(product);
    std::fs::remove_dir_all(&folder).map_err(super::io)
}

/// A measure of a block, and how it is printed.
type Measure = (&'static str, fn(&Block) -> f64, &'static str);

fn show(targets: &[Target], blocks: &[Vec<Block>]) {
    let measures: [Measure; 5] = [
        ("requests per second", Block::rate, ""),
        ("whole answer, p50", |block| quantile(&block.whole, 50), "us"),
        ("whole answer, p99", |block| quantile(&block.whole, 99), "us"),
        ("first byte, p50", |block| quantile(&block.first, 50), "us"),
        ("processor time per request", Block::processor_each, "us"),
    ];
    let [direct, bare, governed] = blocks else {
        return;
    };
    for (name, measure, unit) in measures {
        let each = |blocks: &[Block]| median(blocks.iter().map(measure).collect());
        let ratio = median(governed.iter().zip(bare).map(|(one, floor)| measure(one) / measure(floor)).collect());
        figure(
            name,
            &format!("{:.1} {unit}", each(governed)),
            &format!("bare proxy {:.1}, direct {:.1}", each(bare), each(direct)),
            &format!("{ratio:.2} x the bare proxy"),
        );
    }
    let failed: u64 = blocks.iter().flatten().map(|block| block.failed).sum();
    let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
    if failed > 0 {
        figure("failed requests", &failed.to_string(), &names.join(", "), "");
    }
}
