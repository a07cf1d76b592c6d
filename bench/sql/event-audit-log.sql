-- An audit log of 900 days, 810 of which are to go, and an ordinary table with the same rows, columns
-- and indexes. Values: rows.

-- Without triggers, which guard the log.
set session_replication_role = replica;

-- Partitions are made ahead of time, never for the past: make them as they would have been made then.
do $$
declare
    v_month timestamp := date_trunc('month', now() at time zone 'UTC' - interval '901 days');
begin
    if (select relkind from pg_class where oid = 'audit_logs'::regclass) <> 'p' then
        return;
    end if;
    while v_month <= now() at time zone 'UTC' loop
        execute format(
            'create table if not exists %I partition of audit_logs for values from (%L) to (%L)',
            'audit_logs_' || to_char(v_month, 'YYYY_MM'),
            v_month at time zone 'UTC',
            (v_month + interval '1 month') at time zone 'UTC'
        );
        v_month := v_month + interval '1 month';
    end loop;
end
$$;

create table bench_audit (like audit_logs including all);

-- From the oldest to the newest, as a log grows; the half keeps every row off the boundary.
insert into audit_logs (created_at, table_name, operation, row_id, new_values)
select now() - interval '900 days' * ((:rows - i + 0.5) / :rows::float8), 'registrations', 'INSERT', i,
    jsonb_build_object(
        'id', i, 'user_id', i % 100000, 'event_id', i % 1000, 'registered_at', now(), 'status', 'confirmed',
        'hold_expires_at', null
    )
from generate_series(1, :rows) i;

insert into bench_audit overriding system value
select * from audit_logs order by created_at, id;

set session_replication_role = origin;
