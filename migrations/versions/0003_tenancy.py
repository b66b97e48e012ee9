"""Tenants: every row names one, every query sees one, and no session can claim another.

A session proves its tenant: `fx.context` holds an HMAC over tenant, backend and server start, made with the tenant's
secret, which only the owner and the function that checks it can read. Roles are separated by what they are for, and a
support session reads another tenant's entries only in a transaction that has recorded it. Reasons: docs/decisions/0008.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Roles belong to the server: another database's migrator may make them at the same moment.
ROLES = """
DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['fx_migrate', 'fx_append', 'fx_read', 'fx_project', 'fx_support', 'fx_anchor', 'fx_vault',
                           'fx_gateway'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I %s', r, CASE r WHEN 'fx_gateway' THEN 'NOLOGIN' ELSE 'LOGIN' END);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;
END $$;
"""

# Who hands objects to another role must be its member, and that role must be allowed to have them there.
OWNERSHIP = """
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT fx_migrate, fx_gateway, fx_projector TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO fx_migrate', current_database());
  END IF;
END $$;
ALTER SCHEMA fx OWNER TO fx_migrate;
CREATE SCHEMA vault AUTHORIZATION fx_migrate;
GRANT USAGE, CREATE ON SCHEMA fx TO fx_gateway;
"""

# The read models are made anew by their new owner; the old roles keep nothing.
RETIRED = """
DROP SCHEMA read CASCADE;
DROP SCHEMA read_rebuild CASCADE;
ALTER DEFAULT PRIVILEGES FOR ROLE fx_projector REVOKE SELECT ON TABLES FROM fx_app;
REVOKE ALL ON ALL TABLES IN SCHEMA fx FROM fx_app, fx_projector;
REVOKE UPDATE (status, refusal, block_number, block_hash, block_time, gas_used, contract_address)
  ON fx.chain_transactions FROM fx_app;
REVOKE ALL ON SCHEMA fx FROM fx_app, fx_projector;
DROP FUNCTION fx.append_batch;
"""

TABLES = """
CREATE TABLE fx.tenants (
  tenant_id text  NOT NULL PRIMARY KEY CHECK (tenant_id <> ''),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64)
);
COMMENT ON TABLE fx.tenants IS 'Each tenant''s secret, as the two padded keys of HMAC-SHA256 (RFC 2104)';

ALTER TABLE fx.audit_entries DROP CONSTRAINT audit_entries_pkey;
ALTER TABLE fx.audit_entries ADD PRIMARY KEY (tenant_id, position);
ALTER TABLE fx.audit_entries ADD CONSTRAINT audit_entries_position UNIQUE (position);

-- Followers ask for these at every start (eventstore/quarantine.py).
CREATE INDEX audit_entries_quarantines ON fx.audit_entries (tenant_id, position)
  WHERE topic IN ('stream.quarantined.1', 'stream.release_requested.1', 'stream.released.1');

ALTER TABLE fx.bookmarks ADD tenant_id text;
UPDATE fx.bookmarks SET tenant_id = coalesce((SELECT e.tenant_id FROM fx.audit_entries e LIMIT 1), 'tnt_fintokenx');
ALTER TABLE fx.bookmarks ALTER tenant_id SET NOT NULL;
ALTER TABLE fx.bookmarks DROP CONSTRAINT bookmarks_pkey;
ALTER TABLE fx.bookmarks ADD PRIMARY KEY (tenant_id, name);

ALTER TABLE fx.chain_transactions ADD tenant_id text;
UPDATE fx.chain_transactions
   SET tenant_id = coalesce((SELECT e.tenant_id FROM fx.audit_entries e LIMIT 1), 'tnt_fintokenx');
ALTER TABLE fx.chain_transactions ALTER tenant_id SET NOT NULL;
ALTER TABLE fx.chain_transactions DROP CONSTRAINT chain_transactions_pkey;
ALTER TABLE fx.chain_transactions ADD PRIMARY KEY (tenant_id, op_id);

ALTER TABLE fx.subject_keys SET SCHEMA vault;
ALTER TABLE vault.subject_keys ADD kek text NOT NULL DEFAULT 'local-1';
ALTER TABLE vault.subject_keys ALTER kek DROP DEFAULT;

CREATE SEQUENCE fx.bypass_numbers;
COMMENT ON SEQUENCE fx.bypass_numbers IS 'Never rolled back: a number without its RBAC_BYPASS entry is a bypass undone';
"""

# Constant time: what is compared are hashes of the proofs, so where they first differ tells nothing.
CONTEXT = """
CREATE FUNCTION fx.tenant() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  claim  text := current_setting('fx.context', true);
  named  text;
  kept   fx.tenants;
  proof  bytea;
BEGIN
  IF claim IS NULL OR claim = '' THEN RETURN NULL; END IF;
  named := substr(claim, 66);
  SELECT * INTO kept FROM fx.tenants t WHERE t.tenant_id = named;
  IF NOT FOUND THEN RETURN NULL; END IF;
  proof := sha256(kept.outer_pad || sha256(kept.inner_pad || convert_to(format('%s %s %s', named, pg_backend_pid(),
             (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint), 'UTF8')));
  IF sha256(convert_to(left(claim, 64), 'UTF8')) = sha256(convert_to(encode(proof, 'hex'), 'UTF8')) THEN
    RETURN named;
  END IF;
  RETURN NULL;
END $$;
COMMENT ON FUNCTION fx.tenant() IS 'The tenant this session has proved to be; NULL when it has proved none';

ALTER TABLE fx.bookmarks ALTER tenant_id SET DEFAULT fx.tenant();
ALTER TABLE fx.chain_transactions ALTER tenant_id SET DEFAULT fx.tenant();
ALTER TABLE vault.subject_keys ALTER tenant_id SET DEFAULT fx.tenant();
"""

# One call appends a batch of commands. The advisory lock makes positions gap-free and the chain single, whatever the
# number of writers; a command whose stream moved on, or whose key is known, is left out and named, its neighbours land.
# A row without a body adds nothing: it says which version would come next on a stream the command was decided on.
# A plan made while the table was small must not scan it once it is large: tables are asked by scalar subqueries only,
# and by index. What is joined are the arguments, as hashes: nested loops would cost the square of a batch's size.
APPEND = """
CREATE FUNCTION fx.append_for(
  me text, cmd int[], oid uuid[], ver bigint[], topic text[], bodies bytea[],
  key_cmd int[], keys text[], fingerprints bytea[], responses bytea[],
  mark_cmd int[], mark_name text[], mark_position bigint[]
) RETURNS TABLE (first_position bigint, recorded_us bigint, stale int[], known int[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = fx, pg_temp
SET enable_seqscan = off SET enable_nestloop = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  pos bigint; p0 bigint; h bytea; last_us bigint; now_us bigint; b bytea; bh bytea; stamp text;
  a_prev bytea[] := '{}'; a_body bytea[] := '{}'; a_hash bytea[] := '{}';
  k_c int[] := cmd; k_o uuid[] := oid; k_v bigint[] := ver; k_k text[] := topic; k_b bytea[] := bodies;
  bad_version int[]; bad_key int[]; bad int[];
BEGIN
  PERFORM pg_advisory_xact_lock(70001);
  SELECT e.position, e.hash, e.recorded_us INTO pos, h, last_us
    FROM audit_entries e ORDER BY e.position DESC LIMIT 1;
  IF NOT FOUND THEN pos := 0; h := decode(repeat('00', 32), 'hex'); last_us := 0; END IF;
  now_us := greatest(last_us, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

  -- Not a join: planned while the log is empty, it reads every key the tenant ever had.
  SELECT array_agg(u.c) INTO bad_key
    FROM unnest(key_cmd, keys) AS u(c, k)
   WHERE (SELECT true FROM command_keys ck WHERE ck.tenant_id = me AND ck.key = u.k);

  SELECT array_agg(DISTINCT f.c) INTO bad_version
    FROM (SELECT u.c, u.o, min(u.v) AS v, max(u.v) - count(*) + 1 AS gapless
            FROM unnest(cmd, oid, ver) AS u(c, o, v) GROUP BY 1, 2) f
   WHERE f.v <> f.gapless OR f.v <> 1 + coalesce((SELECT e.originator_version FROM audit_entries e
                               WHERE e.tenant_id = me AND e.originator_id = f.o
                               ORDER BY e.originator_version DESC LIMIT 1), 0);

  bad := coalesce(bad_key, '{}') || coalesce(bad_version, '{}');
  IF bad <> '{}' OR array_position(bodies, NULL::bytea) IS NOT NULL THEN
    SELECT array_agg(c ORDER BY n), array_agg(o ORDER BY n), array_agg(v ORDER BY n), array_agg(k ORDER BY n),
           array_agg(bo ORDER BY n)
      INTO k_c, k_o, k_v, k_k, k_b
      FROM unnest(cmd, oid, ver, topic, bodies) WITH ORDINALITY AS u(c, o, v, k, bo, n)
     WHERE c <> ALL (bad) AND bo IS NOT NULL;
  END IF;

  p0 := pos + 1;
  IF k_b <> '{}' THEN
    stamp := ' ' || now_us::text || ' ';
    FOREACH b IN ARRAY k_b LOOP
      pos := pos + 1;
      bh := sha256(b);
      a_prev := a_prev || h;
      a_body := a_body || bh;
      h := sha256(convert_to('fx2 ' || pos::text || stamp || encode(h, 'hex') || ' ' || encode(bh, 'hex') || E'\\n',
                             'UTF8'));
      a_hash := a_hash || h;
    END LOOP;
    INSERT INTO audit_entries
      (position, tenant_id, originator_id, originator_version, topic, recorded_us, prev_hash, body_hash, hash, body)
    SELECT p0 + n - 1, me, o, v, k, now_us, pr, bh_, ha, bo
      FROM unnest(k_o, k_v, k_k, a_prev, a_body, a_hash, k_b)
           WITH ORDINALITY AS u(o, v, k, pr, bh_, ha, bo, n);
    PERFORM pg_notify('fx_audit', pos::text);
  END IF;

  INSERT INTO command_keys (tenant_id, key, fingerprint, first_position, recorded_us, response)
  SELECT me, u.k, u.f, p0 + e.n - 1, now_us, u.r
    FROM unnest(key_cmd, keys, fingerprints, responses) AS u(c, k, f, r)
    LEFT JOIN (SELECT c, min(n) AS n FROM unnest(k_c) WITH ORDINALITY AS x(c, n) GROUP BY c) e ON e.c = u.c
   WHERE u.c <> ALL (bad);

  IF mark_name <> '{}' THEN
    INSERT INTO bookmarks (tenant_id, name, position)
    SELECT me, n, max(p) FROM unnest(mark_cmd, mark_name, mark_position) AS u(c, n, p)
     WHERE u.c <> ALL (bad) GROUP BY n
    ON CONFLICT (tenant_id, name) DO UPDATE SET position = greatest(bookmarks.position, excluded.position);
  END IF;

  RETURN QUERY SELECT p0, now_us, bad_version, bad_key;
END $$;

CREATE FUNCTION fx.append_batch(
  cmd int[], oid uuid[], ver bigint[], topic text[], bodies bytea[],
  key_cmd int[], keys text[], fingerprints bytea[], responses bytea[],
  mark_cmd int[], mark_name text[], mark_position bigint[]
) RETURNS TABLE (first_position bigint, recorded_us bigint, stale int[], known int[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = fx, pg_temp AS $$
DECLARE me text := fx.tenant();
BEGIN
  IF me IS NULL THEN
    RAISE EXCEPTION 'this session has not proved its tenant' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN QUERY SELECT * FROM fx.append_for(me, cmd, oid, ver, topic, bodies, key_cmd, keys, fingerprints, responses,
                                           mark_cmd, mark_name, mark_position);
END $$;
"""

# What support may see: the tenants whose RBAC_BYPASS this very transaction appended. It holds the append lock since,
# so its entries are the last ones; xmin is the transaction that wrote a row, and nobody can set it.
SUPPORT = """
CREATE FUNCTION fx.bypasses_undone() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = fx, pg_temp AS $$
  SELECT coalesce(array_agg(n), '{}')
    FROM generate_series(1, (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM bypass_numbers)) n
   WHERE NOT EXISTS (SELECT 1 FROM tenants t
                       JOIN command_keys k ON k.tenant_id = t.tenant_id AND k.key = 'bypass:' || n)
$$;

CREATE FUNCTION fx.record_bypass(tenant text, actor text, reason text, at text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = fx, pg_temp AS $$
DECLARE
  number bigint; stream uuid := gen_random_uuid(); body text; done record;
  -- Two UUIDs have 244 random bits; 128 of their hash are the salt.
  salt text := left(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), 32);
BEGIN
  IF btrim(coalesce(actor, '')) = '' OR btrim(coalesce(reason, '')) = ''
     OR coalesce(at, '') !~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{6})?Z$' THEN
    RAISE EXCEPTION 'a bypass names who reads, why, and when' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = tenant) THEN
    RAISE EXCEPTION 'there is no such tenant' USING ERRCODE = 'no_data_found';
  END IF;
  number := nextval('fx.bypass_numbers');
  -- Canonical as eventstore/entry.py writes it: sorted keys, no spaces, JSON's shortest escapes.
  body := format('{"action":"RBAC_BYPASS","actor":%s,"actor_role":"platform_admin","at":"%s","cause"\\:null,'
    '"command":"bypass:%s","data":{"number":%s,"reason":%s},"on_behalf_of":%s,"resource":"bypass %s","salt":"%s",'
    '"stream":"%s","tenant":%s,"type":"support.bypassed.1","version"\\:1}',
    to_json(actor), at, number, number, to_json(reason), to_json(tenant), number, salt, stream, to_json(tenant));
  -- The append lock is held until this transaction ends: support must not keep the platform waiting.
  PERFORM set_config('statement_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '5s', true);
  SELECT * INTO done FROM fx.append_for(tenant, '{0}', ARRAY[stream], '{1}', '{support.bypassed.1}',
    ARRAY[convert_to(body, 'UTF8')], '{0}', ARRAY['bypass:' || number], ARRAY[''::bytea], ARRAY[NULL::bytea],
    '{}', '{}', '{}');
  RETURN done.first_position;
END $$;

CREATE FUNCTION fx.bypassed() RETURNS text[]
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = fx, pg_temp AS $$
  SELECT coalesce(array_agg(e.tenant_id), '{}') FROM audit_entries e
   WHERE e.position > (SELECT max(position) - 16 FROM audit_entries) AND e.topic = 'support.bypassed.1'
     AND e.xmin = pg_current_xact_id_if_assigned()::xid
$$;
"""

POLICIES = """
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['fx.tenants', 'fx.audit_entries', 'fx.command_keys', 'fx.bookmarks', 'fx.chain_transactions',
                           'vault.subject_keys'] LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO fx_migrate', t);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['fx.tenant()', 'fx.append_for', 'fx.append_batch', 'fx.record_bypass',
                           'fx.bypasses_undone', 'fx.bypassed'] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO fx_gateway', t);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', t);
  END LOOP;
END $$;
ALTER TABLE fx.alembic_version OWNER TO fx_migrate;
ALTER SEQUENCE fx.bypass_numbers OWNER TO fx_migrate;
ALTER FUNCTION fx.refuse_change() OWNER TO fx_migrate;

CREATE POLICY registrar ON fx.tenants FOR INSERT TO fx_migrate WITH CHECK (true);
CREATE POLICY checker ON fx.tenants FOR SELECT TO fx_gateway USING (true);

CREATE POLICY own ON fx.audit_entries FOR SELECT TO fx_read, fx_project USING (tenant_id = (SELECT fx.tenant()));
CREATE POLICY chain ON fx.audit_entries FOR SELECT TO fx_anchor USING (true);
CREATE POLICY bypass ON fx.audit_entries FOR SELECT TO fx_support
  USING (tenant_id = ANY ((SELECT fx.bypassed())::text[]));
CREATE POLICY append_reads ON fx.audit_entries FOR SELECT TO fx_gateway USING (true);
CREATE POLICY appends ON fx.audit_entries FOR INSERT TO fx_gateway
  WITH CHECK (topic = 'support.bypassed.1' OR tenant_id = (SELECT fx.tenant()));

CREATE POLICY own ON fx.command_keys FOR SELECT TO fx_read USING (tenant_id = (SELECT fx.tenant()));
CREATE POLICY appends ON fx.command_keys TO fx_gateway USING (true) WITH CHECK (true);
CREATE POLICY own ON fx.bookmarks FOR SELECT TO fx_read USING (tenant_id = (SELECT fx.tenant()));
CREATE POLICY appends ON fx.bookmarks TO fx_gateway USING (true) WITH CHECK (true);
CREATE POLICY own ON fx.chain_transactions TO fx_anchor
  USING (tenant_id = (SELECT fx.tenant())) WITH CHECK (tenant_id = (SELECT fx.tenant()));
CREATE POLICY own ON vault.subject_keys TO fx_vault
  USING (tenant_id = (SELECT fx.tenant())) WITH CHECK (tenant_id = (SELECT fx.tenant()));
"""

GRANTS = """
GRANT SELECT ON fx.tenants TO fx_gateway;
GRANT SELECT, INSERT ON fx.audit_entries, fx.command_keys TO fx_gateway;
GRANT SELECT, INSERT, UPDATE ON fx.bookmarks TO fx_gateway;
GRANT USAGE, SELECT ON fx.bypass_numbers TO fx_gateway;
REVOKE CREATE ON SCHEMA fx FROM fx_gateway;

GRANT USAGE ON SCHEMA fx TO fx_append, fx_read, fx_project, fx_support, fx_anchor, fx_vault;
GRANT EXECUTE ON FUNCTION fx.tenant() TO fx_append, fx_read, fx_project, fx_support, fx_anchor, fx_vault, fx_migrate;
GRANT EXECUTE ON FUNCTION fx.append_batch TO fx_append;
GRANT EXECUTE ON FUNCTION fx.record_bypass, fx.bypassed TO fx_support;
GRANT EXECUTE ON FUNCTION fx.bypasses_undone TO fx_read;
GRANT SELECT ON fx.audit_entries, fx.command_keys, fx.bookmarks TO fx_read;
GRANT SELECT ON fx.audit_entries TO fx_project, fx_support;
GRANT SELECT (position, recorded_us, prev_hash, body_hash, hash) ON fx.audit_entries TO fx_anchor;
GRANT SELECT, INSERT ON fx.chain_transactions TO fx_anchor;
GRANT UPDATE (status, refusal, block_number, block_hash, block_time, gas_used, contract_address)
  ON fx.chain_transactions TO fx_anchor;
GRANT USAGE ON SCHEMA vault TO fx_vault;
GRANT SELECT, INSERT ON vault.subject_keys TO fx_vault;
GRANT UPDATE (kek, wrapped) ON vault.subject_keys TO fx_vault;

ALTER TABLE vault.subject_keys ADD CONSTRAINT tombstone CHECK ((kek = 'erased') = (octet_length(wrapped) = 0));
CREATE FUNCTION vault.refuse_revival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an erased subject gets no key again' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER stays_erased BEFORE UPDATE ON vault.subject_keys FOR EACH ROW
  WHEN (OLD.kek = 'erased' AND NEW.kek <> 'erased') EXECUTE FUNCTION vault.refuse_revival();
CREATE TRIGGER keeps_tombstone BEFORE DELETE ON vault.subject_keys FOR EACH ROW
  WHEN (OLD.kek = 'erased') EXECUTE FUNCTION vault.refuse_revival();

-- The tables follow from the code (projections/base.py, prepare_tables); whoever writes them must not own them.
CREATE SCHEMA read AUTHORIZATION fx_migrate;
CREATE SCHEMA read_rebuild AUTHORIZATION fx_migrate;
GRANT USAGE ON SCHEMA read TO fx_read, fx_project;
GRANT USAGE ON SCHEMA read_rebuild TO fx_project;
ALTER DEFAULT PRIVILEGES FOR ROLE fx_migrate IN SCHEMA read GRANT SELECT ON TABLES TO fx_read;
ALTER DEFAULT PRIVILEGES FOR ROLE fx_migrate IN SCHEMA read, read_rebuild
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO fx_project;
"""

# Whoever migrated is no longer the gateway, to whom the policies show every tenant.
LEFT_BEHIND = """
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('REVOKE fx_gateway FROM %I', current_user);
  END IF;
END $$;
"""


def upgrade() -> None:
    for block in (ROLES, OWNERSHIP, RETIRED, TABLES, CONTEXT, APPEND, SUPPORT, POLICIES, GRANTS, LEFT_BEHIND):
        op.execute(block)
