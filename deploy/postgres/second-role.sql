-- Two roles: one owns the tables and runs `manage.py migrate`, the other runs Parley. The second can neither change nor
-- delete what is on record, nor drop the triggers that say so. Run it as the owner, after each `migrate`:
--   psql "$OWNERS_DATABASE_URL" -v app=parley_app -f deploy/postgres/second-role.sql
GRANT USAGE ON SCHEMA public TO :"app";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"app";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"app";
SELECT format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I', tgrelid::regclass, :'app')
  FROM pg_trigger WHERE tgname = 'append_only' \gexec
