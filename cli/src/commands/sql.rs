//! `tidegate sql`.

use engine::Sql;
use engine::model::job::{BlockFormat, Compression, MaxComputeConnection, Secret};

use crate::args::SqlArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn sql(args: &SqlArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let connection = connection(args, &Surroundings::of_process())?;
    let result = Sql::new(&connection)?.execute(&args.statement)?;
    output.result(
        || render::query::text(&result),
        || serde_json::to_string_pretty(&result),
    )?;
    Ok(Exit::Done)
}

fn connection(
    args: &SqlArgs,
    surroundings: &Surroundings<'_>,
) -> Result<MaxComputeConnection, Failure> {
    let secret =
        |flag: &str, name: &str| surroundings.required_variable(flag, name).map(Secret::new);
    let secret_of = |flag, name: &Option<String>| {
        let name = name.as_deref();
        name.map(|name| secret(flag, name)).transpose()
    };
    let mut connection = MaxComputeConnection {
        endpoint: args.endpoint.trim_end_matches('/').to_owned(),
        tunnel_endpoint: None,
        project: args.project.clone(),
        schema: args.schema.clone(),
        quota: None,
        region: args.region.clone(),
        block_format: BlockFormat::default(),
        compression: Compression::default(),
        access_id: args.access_id.clone(),
        access_secret: secret_of("--secret-from-env", &args.secret_from_env)?,
        security_token: secret_of("--token-from-env", &args.token_from_env)?,
        profile: args.profile.clone(),
        credentials_file: args.credentials_file.clone(),
        ca_file: args.ca_file.clone(),
        proxy: args.proxy.clone(),
    };
    surroundings.complete(&mut connection);
    Ok(connection)
}
