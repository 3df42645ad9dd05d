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
    let token = args
        .token_from_env
        .as_deref()
        .map(|name| secret("--token-from-env", name));
    Ok(MaxComputeConnection {
        endpoint: args.endpoint.trim_end_matches('/').to_owned(),
        tunnel_endpoint: None,
        project: args.project.clone(),
        schema: args.schema.clone(),
        quota: None,
        region: args.region.clone(),
        block_format: BlockFormat::default(),
        compression: Compression::default(),
        access_id: Some(args.access_id.clone()),
        access_secret: Some(secret("--secret-from-env", &args.secret_from_env)?),
        security_token: token.transpose()?,
    })
}
