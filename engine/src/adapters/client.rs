//! A client of MaxCompute as a job's connection describes it, and its errors as ours.

use std::sync::Arc;

use engine_load::{Error, ErrorKind};
use engine_model::ByteRate;
use engine_model::job::MaxComputeConnection;
use engine_tunnel::{
    Client, ClientConfig, CredentialSource, Credentials, Missing, ProfileFile, SystemClock,
};

/// The access key of `connection`, or the file that has one.
fn credentials(connection: &MaxComputeConnection) -> Result<CredentialSource, Error> {
    if let (Some(access_id), Some(secret)) = (&connection.access_id, &connection.access_secret) {
        return Ok(CredentialSource::Fixed(Credentials {
            access_id: access_id.clone(),
            secret: secret.clone(),
            security_token: connection.security_token.clone(),
        }));
    }
    if let Some(path) = &connection.credentials_file {
        return Ok(CredentialSource::File(ProfileFile {
            path: path.clone(),
            profile: connection.profile.clone(),
        }));
    }
    let message = "no access key for MaxCompute is given: set `access_id` and `access_secret` of the data source, for \
                   example from the environment with `${env.NAME}`, or `profile` and `credentials_file`, or export \
                   ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET";
    Err(Error::new(ErrorKind::Job, message))
}

/// Sets a client up that uploads no faster than `upload_rate`; nothing is sent yet.
pub(crate) fn client(
    connection: &MaxComputeConnection,
    upload_rate: Option<ByteRate>,
) -> Result<Client, Error> {
    let credentials = credentials(connection)?;
    let mut config = ClientConfig::new(&connection.endpoint, &connection.project, credentials);
    config
        .tunnel_endpoint
        .clone_from(&connection.tunnel_endpoint);
    config.schema.clone_from(&connection.schema);
    config.quota.clone_from(&connection.quota);
    config.region.clone_from(&connection.region);
    config.block_format = connection.block_format;
    config.compression = connection.compression;
    config.upload_rate = upload_rate;
    config.ca_file.clone_from(&connection.ca_file);
    config.proxy.clone_from(&connection.proxy);
    Client::new(config, Arc::new(SystemClock::start())).map_err(target_error)
}

/// Whether a session or its partition is not there any more.
pub(crate) fn is_gone(error: &engine_tunnel::Error) -> bool {
    use engine_tunnel::ErrorKind::{NotFound, SessionExpired};
    matches!(
        error.kind(),
        SessionExpired | NotFound(Missing::Session | Missing::Partition)
    )
}

/// An error of the client as one of the load.
pub(crate) fn target_error(error: engine_tunnel::Error) -> Error {
    let kind = match error.kind() {
        _ if is_gone(&error) => ErrorKind::SessionGone,
        engine_tunnel::ErrorKind::CommitUnknown => ErrorKind::CommitUnknown,
        engine_tunnel::ErrorKind::CommittedDiffers => ErrorKind::CommittedDiffers,
        engine_tunnel::ErrorKind::Config => ErrorKind::Job,
        engine_tunnel::ErrorKind::Source => ErrorKind::Staging,
        _ => ErrorKind::Target,
    };
    Error::with_source(kind, error.to_string(), error)
}
