"""The audit log: entries, command keys, bookmarks, personal-data keys; two roles with the least they need."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROLES = """
DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['fx_app', 'fx_projector'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I LOGIN', r);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;
END $$;
"""

TABLES = """
CREATE TABLE fx.audit_entries (
  position           bigint NOT NULL PRIMARY KEY,
  tenant_id          text   NOT NULL CHECK (tenant_id <> ''),
  originator_id      uuid   NOT NULL,
  originator_version bigint NOT NULL CHECK (originator_version > 0),
  topic              text   NOT NULL,
  recorded_us        bigint NOT NULL,
  prev_hash          bytea  NOT NULL CHECK (octet_length(prev_hash) = 32),
  body_hash          bytea  NOT NULL CHECK (octet_length(body_hash) = 32),
  hash               bytea  NOT NULL CHECK (octet_length(hash) = 32),
  body               bytea  NOT NULL,
  CONSTRAINT audit_entries_stream UNIQUE (tenant_id, originator_id, originator_version)
);

ALTER TABLE fx.audit_entries
  ALTER prev_hash SET STORAGE PLAIN, ALTER body_hash SET STORAGE PLAIN, ALTER hash SET STORAGE PLAIN;

CREATE TABLE fx.command_keys (
  tenant_id      text   NOT NULL,
  key            text   NOT NULL,
  fingerprint    bytea  NOT NULL,
  first_position bigint,
  recorded_us    bigint NOT NULL,
  response       bytea,
  PRIMARY KEY (tenant_id, key)
);

CREATE TABLE fx.bookmarks (
  name     text   NOT NULL PRIMARY KEY,
  position bigint NOT NULL
);

CREATE TABLE fx.subject_keys (
  tenant_id text  NOT NULL,
  subject   text  NOT NULL,
  wrapped   bytea NOT NULL,
  PRIMARY KEY (tenant_id, subject)
);
"""

GUARD = """
CREATE FUNCTION fx.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fx.audit_entries
  FOR EACH ROW EXECUTE FUNCTION fx.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON fx.audit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION fx.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fx.command_keys
  FOR EACH ROW EXECUTE FUNCTION fx.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON fx.command_keys
  FOR EACH STATEMENT EXECUTE FUNCTION fx.refuse_change();
"""

# One call appends a batch of commands. The advisory lock makes positions gap-free and the chain single, whatever the
# number of writers; a command whose stream moved on, or whose key is known, is left out and named, its neighbours land.
APPEND = """
CREATE FUNCTION fx.append_batch(
  cmd int[], tenant text[], oid uuid[], ver bigint[], topic text[], bodies bytea[],
  key_cmd int[], key_tenant text[], keys text[], fingerprints bytea[], responses bytea[],
  mark_cmd int[], mark_name text[], mark_position bigint[]
) RETURNS TABLE (first_position bigint, recorded_us bigint, stale int[], known int[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = fx, pg_temp AS $$
#variable_conflict use_column
DECLARE
  pos bigint; p0 bigint; h bytea; last_us bigint; now_us bigint; b bytea; bh bytea;
  a_prev bytea[] := '{}'; a_body bytea[] := '{}'; a_hash bytea[] := '{}';
  k_c int[]; k_t text[]; k_o uuid[]; k_v bigint[]; k_k text[]; k_b bytea[];
  bad_version int[]; bad_key int[]; bad int[];
BEGIN
  PERFORM pg_advisory_xact_lock(70001);
  SELECT e.position, e.hash, e.recorded_us INTO pos, h, last_us
    FROM audit_entries e ORDER BY e.position DESC LIMIT 1;
  IF NOT FOUND THEN pos := 0; h := decode(repeat('00', 32), 'hex'); last_us := 0; END IF;
  now_us := greatest(last_us, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

  SELECT array_agg(u.c) INTO bad_key
    FROM unnest(key_cmd, key_tenant, keys) AS u(c, t, k)
    JOIN command_keys ck ON ck.tenant_id = u.t AND ck.key = u.k;

  SELECT array_agg(DISTINCT f.c) INTO bad_version
    FROM (SELECT u.c, u.t, u.o, min(u.v) AS v, max(u.v) - count(*) + 1 AS gapless
            FROM unnest(cmd, tenant, oid, ver) AS u(c, t, o, v) GROUP BY 1, 2, 3) f
   WHERE f.v <> f.gapless OR f.v <> 1 + coalesce((SELECT e.originator_version FROM audit_entries e
                               WHERE e.tenant_id = f.t AND e.originator_id = f.o
                               ORDER BY e.originator_version DESC LIMIT 1), 0);
  bad := coalesce(bad_key, '{}') || coalesce(bad_version, '{}');

  SELECT array_agg(c ORDER BY n), array_agg(t ORDER BY n), array_agg(o ORDER BY n), array_agg(v ORDER BY n),
         array_agg(k ORDER BY n), array_agg(bo ORDER BY n)
    INTO k_c, k_t, k_o, k_v, k_k, k_b
    FROM unnest(cmd, tenant, oid, ver, topic, bodies) WITH ORDINALITY AS u(c, t, o, v, k, bo, n)
   WHERE c <> ALL (bad);

  p0 := pos + 1;
  IF k_b IS NOT NULL THEN
    FOREACH b IN ARRAY k_b LOOP
      pos := pos + 1;
      bh := sha256(b);
      a_prev := array_append(a_prev, h);
      a_body := array_append(a_body, bh);
      h := sha256(convert_to('fx2 ' || pos::text || ' ' || now_us::text || ' ' || encode(h, 'hex') || ' '
                             || encode(bh, 'hex') || E'\\n', 'UTF8'));
      a_hash := array_append(a_hash, h);
    END LOOP;
    INSERT INTO audit_entries
    SELECT p0 + n - 1, t, o, v, k, now_us, pr, bh_, ha, bo
      FROM unnest(k_t, k_o, k_v, k_k, a_prev, a_body, a_hash, k_b)
           WITH ORDINALITY AS u(t, o, v, k, pr, bh_, ha, bo, n);
    PERFORM pg_notify('fx_audit', pos::text);
  END IF;

  INSERT INTO command_keys (tenant_id, key, fingerprint, first_position, recorded_us, response)
  SELECT t, k, f, (SELECT p0 + min(n) - 1 FROM unnest(k_c) WITH ORDINALITY AS e(c, n) WHERE e.c = u.c), now_us, r
    FROM unnest(key_cmd, key_tenant, keys, fingerprints, responses) AS u(c, t, k, f, r)
   WHERE u.c <> ALL (bad);

  INSERT INTO bookmarks (name, position)
  SELECT n, max(p) FROM unnest(mark_cmd, mark_name, mark_position) AS u(c, n, p) WHERE u.c <> ALL (bad) GROUP BY n
  ON CONFLICT (name) DO UPDATE SET position = greatest(bookmarks.position, excluded.position);

  RETURN QUERY SELECT p0, now_us, bad_version, bad_key;
END $$;
"""

# An owner that is no superuser hands a schema to a role only as its member.
MEMBERSHIP = """
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT fx_app, fx_projector TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO fx_projector', current_database());
  END IF;
END $$;
"""

GRANTS = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION fx.append_batch FROM PUBLIC;
GRANT USAGE ON SCHEMA fx TO fx_app, fx_projector;
GRANT EXECUTE ON FUNCTION fx.append_batch TO fx_app;
GRANT SELECT ON fx.audit_entries, fx.command_keys, fx.bookmarks TO fx_app;
GRANT SELECT, INSERT ON fx.subject_keys TO fx_app;
GRANT SELECT ON fx.audit_entries TO fx_projector;
CREATE SCHEMA read AUTHORIZATION fx_projector;
CREATE SCHEMA read_rebuild AUTHORIZATION fx_projector;
GRANT USAGE ON SCHEMA read TO fx_app;
ALTER DEFAULT PRIVILEGES FOR ROLE fx_projector GRANT SELECT ON TABLES TO fx_app;
"""


def upgrade() -> None:
    for block in (ROLES, TABLES, GUARD, APPEND, MEMBERSHIP, GRANTS):
        op.execute(block)
