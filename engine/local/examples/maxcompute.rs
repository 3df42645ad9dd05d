//! Runs the MaxCompute-compatible server until its standard input ends.
//!
//! `cargo run -p engine-local --example maxcompute -- DATA_DIR PROJECT [ACCESS_ID SECRET]`

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use engine_local::maxcompute::{Config, Credential, MaxCompute};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut config = match args.as_slice() {
        [data_dir, project, ..] => Config::new(data_dir, project),
        _ => return Err("usage: maxcompute DATA_DIR PROJECT [ACCESS_ID SECRET]".into()),
    };
    if let [_, _, access_id, secret] = args.as_slice() {
        let credential = Credential {
            access_id: access_id.clone(),
            secret: secret.clone(),
        };
        config.credentials.push(credential);
    }
    let server = MaxCompute::start(config).await?;
    writeln!(io::stdout(), "{}", server.endpoint())?;
    tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    Ok(())
}
