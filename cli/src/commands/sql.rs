//! `tidegate sql`.

use engine::Sql;
use engine::model::job::{MaxComputeConnection, Secret};

use crate::args::{JobArgs, ProjectArgs, SqlArgs};
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn sql(args: SqlArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let connection = match (args.job, args.project) {
        (Some(job), _) => {
            let job = JobArgs {
                job,
                env: args.env,
                sources: args.sources,
                set: Vec::new(),
            };
            surroundings.job(&job, None)?.job.destination.connection
        }
        (None, Some(project)) => connection(project, &surroundings)?,
        (None, None) => {
            return Err(Failure::usage(
                "no project is named: add --job, or --endpoint and --project",
            ));
        }
    };
    let result = Sql::new(&connection)?.execute(&args.statement)?;
    output.result(
        || render::query::text(&result),
        || serde_json::to_string_pretty(&result),
    )?;
    Ok(Exit::Done)
}

fn connection(
    args: ProjectArgs,
    surroundings: &Surroundings<'_>,
) -> Result<MaxComputeConnection, Failure> {
    let secret = |flag: &str, name: Option<String>| {
        let secret = surroundings.variable_of(flag, name.as_deref());
        secret.map(|secret| secret.map(Secret::new))
    };
    let mut connection = MaxComputeConnection {
        schema: args.schema,
        region: args.region,
        access_id: args.access_id,
        access_secret: secret("--secret-from-env", args.secret_from_env)?,
        security_token: secret("--token-from-env", args.token_from_env)?,
        profile: args.profile,
        credentials_file: args.credentials_file,
        ca_file: args.ca_file,
        proxy: args.proxy,
        ..MaxComputeConnection::new(&args.endpoint, args.project)
    };
    surroundings.complete(&mut connection);
    Ok(connection)
}
