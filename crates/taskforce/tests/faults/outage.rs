//! PostgreSQL stops and starts again.

use crate::client::Client;
use crate::cluster::Cluster;
use crate::installation::{Engine, Installation, turn};
use crate::trouble::Trouble;
use crate::upstream::Upstream;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_its_database_the_server_refuses_in_time_and_needs_no_restart() {
    let _turn = turn();
    let Some(cluster) = Cluster::start() else { return };
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(Engine::postgres_on(&cluster.server()), upstream.address);
    let mut server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let (installation, world, upstream) = (&installation, &world, &upstream);
    let trouble = Trouble { installation, server: &mut server, world, upstream, readable: false };
    trouble.endure(|| cluster.stop(), || cluster.resume()).await;
    // As if nothing had been.
    Client::new(server.address, &world.alice).get("/api/v1/agents").await.expect(200);
}
