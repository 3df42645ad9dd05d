//! Starts a broker and prints its address: `cargo run -p engine-local --example broker -- FOLDER [PORT]`. It runs until
//! its standard input ends.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use engine_local::broker::{Broker, BrokerConfig};

#[expect(
    clippy::print_stdout,
    reason = "the address is what the program is for"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a data folder")?;
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let mut config = BrokerConfig::new(folder);
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let broker = runtime.block_on(Broker::start(config))?;
    println!("{}", broker.address());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    if let Some(refusal) = broker.last_refusal() {
        println!("a connection was closed: {refusal}");
    }
    runtime.block_on(broker.shutdown());
    Ok(())
}
