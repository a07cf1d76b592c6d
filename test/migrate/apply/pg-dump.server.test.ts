import { expect } from 'vitest';
import { migrateUp } from '../../../src/index.ts';
import { test } from '../../support/migrate-kit.ts';

/** What pg_dump --data-only writes, word for word but for the version. */
const DUMP = `--
-- PostgreSQL database dump
--

\\restrict 5xVcmPYxAHVzXk3DfJqgB0V1Ty9aWuXLoX3m0QSuhKlUn4cA0SRl2DhV7bq2Zgp

-- Dumped from database version 15.14
-- Dumped by pg_dump version 15.14

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Data for Name: author; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.author (id, name, born) FROM stdin;
1\tJosé Saramago\t1922-11-16
2\tback\\\\slash\\ttab\\nline\t\\N
3\t; drop table public.author; --\t\\N
\\.


--
-- Data for Name: empty; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.empty (id) FROM stdin;
\\.


--
-- Name: author_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.author_id_seq', 3, true);


--
-- PostgreSQL database dump complete
--

\\unrestrict 5xVcmPYxAHVzXk3DfJqgB0V1Ty9aWuXLoX3m0QSuhKlUn4cA0SRl2DhV7bq2Zgp

`;

test('the output of pg_dump --data-only is a migration as it is', async ({ stage }) => {
  await stage.migration(
    '001_tables',
    'create table author (id serial primary key, name text, born date); create table empty (id int);',
  );
  await stage.migration('002_data', DUMP);
  await stage.migration('003_more', "insert into author (name) values ('next');");
  await migrateUp(stage.options);
  expect(await stage.sql`select id, name, born::text from author order by id`).toEqual([
    { id: 1, name: 'José Saramago', born: '1922-11-16' },
    { id: 2, name: 'back\\slash\ttab\nline', born: null },
    { id: 3, name: '; drop table public.author; --', born: null },
    { id: 4, name: 'next', born: null },
  ]);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied', '003 applied']);
});
