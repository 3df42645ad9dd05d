"""Refusals, with the codes and exceptions that PyODPS makes of them; and the ways to sign."""

from harness import PEOPLE, PREFIX, equal, people, refused
from odps import ODPS, errors
from odps.accounts import StsAccount
from odps.tunnel import TableTunnel


def check(server):
    """All of it."""
    check_missing(server)
    check_credentials(server)
    check_signatures(server)


def check_missing(server):
    o, tunnel = server.o, server.tunnel
    absent = PREFIX + "absent"
    assert not o.exist_table(absent) and not o.exist_project("elsewhere")
    refused(errors.NoSuchTable, "NoSuchTable", lambda: o.get_table(absent).reload())
    refused(errors.NoSuchTable, "NoSuchTable", lambda: tunnel.create_upload_session(absent))
    refused(errors.NoSuchTable, "NoSuchTable", lambda: tunnel.create_download_session(absent))
    refused(errors.NoSuchProject, "NoSuchProject", lambda: o.get_project("elsewhere").reload())
    table = server.fresh("present", PEOPLE, "ds string")
    for create in (tunnel.create_upload_session, tunnel.create_download_session):
        refused(errors.NoSuchPartition, "NoSuchPartition", lambda: create(table.name, partition_spec="ds=1"))
        refused(errors.ODPSError, "MissingPartitionSpec", lambda: create(table.name))
        refused(errors.ODPSError, "InvalidPartitionSpec", lambda: create(table.name, partition_spec="nope=1"))
    refused(errors.NoSuchPartition, "NoSuchPartition", lambda: table.get_partition("ds=1").reload())
    assert not o.exist_instance("20260101000000000gabcdef")


def check_credentials(server):
    wrong = server.client(secret="not the secret").get_table(PREFIX + "present")
    error = refused(errors.SignatureNotMatch, "SignatureNotMatch", wrong.reload)
    assert error.request_id, "an error names its request"
    refused(errors.SignatureNotMatch, "SignatureNotMatch", lambda: server.client(secret="x").execute_sql("select 1"))
    tunnel = TableTunnel(server.client(secret="x"), endpoint=server.endpoint.removesuffix("/api"))
    refused(errors.SignatureNotMatch, "SignatureNotMatch", lambda: tunnel.create_upload_session(PREFIX + "present"))
    nobody = server.client(access_id="nobody").get_table(PREFIX + "present")
    refused(errors.Unauthorized, "Unauthorized", nobody.reload)


def check_signatures(server):
    # A region makes requests to the REST endpoint use version 4; the tunnel's are of version 2 in any case.
    regional = server.client(region_name="cn-shanghai")
    equal("by version 4", [["present"]], values_of_query(regional))
    assert not server.o.is_schema_namespace_enabled(), "tables have no schema in between"


def check_token(server, token):
    """A server that knows a temporary access key takes it with its token only."""
    def client(token):
        account = StsAccount(server.access_id, server.secret, token)
        return ODPS(account=account, project=server.project, endpoint=server.endpoint)

    temporary = client(token)
    temporary.create_table(PREFIX + "present", PEOPLE)
    temporary.write_table(PREFIX + "present", people(range(3)))
    equal("with the token", [["present"]], values_of_query(temporary))
    with temporary.get_table(PREFIX + "present").open_reader() as reader:
        equal("rows", people(range(3)), [record.values for record in reader])
    for other in (client(token + "!"), server.o):
        refused(errors.Unauthorized, "Unauthorized", other.get_table(PREFIX + "present").reload)
    temporary.delete_table(PREFIX + "present")


def values_of_query(o):
    """A result that needs metadata, an instance and the tunnel."""
    assert o.exist_table(PREFIX + "present")
    with o.execute_sql("select 'present' as word").open_reader() as reader:
        return [record.values for record in reader]
