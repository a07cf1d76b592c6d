-- Events whose words are as frequent as words are: the nth of 20,000 is met 1/n times as often as the
-- first. Each text is put together from pieces of ten words, or picking words would take minutes.
select setseed(0.5);

create table search_words as
select
    i as place,
    s.list[1 + i % 40] || s.list[1 + i / 40 % 40] || case when i >= 1600 then s.list[1 + i / 1600 % 40] else '' end as word
from generate_series(1, 20000) i
cross join (
    select string_to_array(
        'ba be bo da de di do fa fe fi ga go ha he ho ja jo ka ke ki ko la le lo ma me mi mo na ne no pa po ra re ri ro sa so ta',
        ' '
    ) as list
) s;

create table search_pieces as
with picks as materialized (
    select p as piece, greatest(1, floor(exp(random() * ln(20000))))::int as place
    from generate_series(1, 50000) p
    cross join generate_series(1, 10) n
)
select p.piece, string_agg(w.word, ' ') as words
from picks p
join search_words w on w.place = p.place
group by p.piece;

create table search_picks as
select
    i as event,
    1 + floor(random() * 50000)::int as a,
    1 + floor(random() * 50000)::int as b,
    1 + floor(random() * 50000)::int as c,
    1 + floor(random() * 50000)::int as d
from generate_series(1, :events) i;

-- Half of the events are over, which the triggers would refuse.
alter table events disable trigger user;
insert into events (title, description, location, date_time, capacity, is_active)
select
    split_part(a.words, ' ', 1) || ' ' || split_part(b.words, ' ', 2) || ' ' || split_part(c.words, ' ', 3),
    a.words || ' ' || b.words || '. ' || c.words || ' ' || d.words,
    'Hall ' || split_part(d.words, ' ', 4),
    now() + (random() - 0.5) * interval '1000 days',
    100,
    p.event % 20 <> 0
from search_picks p
join search_pieces a on a.piece = p.a
join search_pieces b on b.piece = p.b
join search_pieces c on c.piece = p.c
join search_pieces d on d.piece = p.d;
alter table events enable trigger user;

drop table search_picks, search_pieces;

-- A million documents one by one into the index of words would take a quarter of an hour.
drop index event_search_documents_document_idx;
select refresh_event_search();
create index event_search_documents_document_idx on event_search_documents using gin (document);
