/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto.h - what the scenarios of the protocols share: so many requests outstanding at any time on
 * one thread, Kolk and its rivals in turn, one table.
 */
#ifndef KOLK_BENCH_PROTO_H
#define KOLK_BENCH_PROTO_H

#include "bench/kit.h"

/* Where the server is; what does not apply is NULL or 0. */
struct site {
	const char *server;      /* its name, for the table */
	const char *address;     /* as Kolk writes it: "127.0.0.1:1", "unix:/path" */
	const char *unix_path;   /* a Unix socket's path, or the directory of PostgreSQL's */
	const char *ca_file;     /* TLS, trusting this authority; NULL = plain */
	const char *user, *password, *database;
	uint16_t port;           /* on 127.0.0.1 */
	bool http2;
};

struct load {
	/* what to do */
	const struct site *site;
	uint32_t concurrency;    /* conversations at any time */
	uint32_t depth;          /* requests of one conversation that are sent together */
	uint32_t bytes;          /* of an answer */
	bool fresh;              /* a connection for each conversation */
	/* proto_measure's */
	int rounds;
	uint64_t duration_ns;
	const char *client;      /* this line of the table alone; NULL = all */
	uint64_t count; /* requests for rivals that take a number of them instead of a time */
	/* what came of it */
	uint64_t ops, cpu_ns, wall_ns;
	uint64_t connections;    /* opened; 0 = not reported */
	struct hist latency;
	/* load_done's */
	uint64_t began_ns, cold;
	bool over;
};

/* An answer came to a request of sent_ns: the time now, 0 = enough. The first ones, which open
 * connections and warm caches, are not counted; neither is what comes after the end. */
void load_begin(struct load *load);
uint64_t load_done(struct load *load, uint64_t sent_ns);

/* One line of the table. The first of a kind, Kolk's, is what the others are held against. */
enum kind {
	ON_LOOP, /* pooled, on one event loop */
	BLOCKING, /* pooled, a thread that waits */
	FRESH    /* on a loop, a connection for each conversation */
};
struct rival {
	const char *name;
	void (*run)(struct load *load); /* NULL = not built in */
	enum kind kind;
	uint32_t concurrency_max, depth_max; /* what it can do; 0 = any */
};

/* Measure all of them on a load, in turn, and write the table (or JSON). title is for people; the
 * load says site, concurrency, depth and bytes. */
void proto_measure(const struct args *args, const char *scenario, const char *title,
		   const struct rival *rivals, int count, const struct load *load);

/* "1,8,64" as numbers; fallback where text is NULL. Returns how many. */
enum { LIST_MAX = 8 };
int proto_list(const char *text, const char *fallback, uint32_t list[LIST_MAX]);
/* The server's thread and its children on the last CPU; back on the first. */
void proto_server_side(void);
void proto_client_side(void);

/* Run a load generator of the protocol's own project for plan->duration_ns: argv, NULL-terminated.
 * Returns its output, to be freed, and the CPU time that it took. */
char *proto_tool(char *const *argv, uint64_t *cpu_ns);
/* The number behind a word in the output; dies when it is not there. */
double proto_figure(const char *output, const char *word);

/* Clients: one run each. Those of a library that was not there at build time are NULL. */
#ifdef KOLK_BENCH_DRIVERS
void http_kolk(struct load *load);
void redis_kolk(struct load *load);
void redis_kolk_blocking(struct load *load);
void postgres_kolk(struct load *load);            /* statements declared harmless */
void postgres_kolk_prepared(struct load *load);   /* and prepared */
void postgres_kolk_discarding(struct load *load); /* not declared: DISCARD ALL after each lease */
void postgres_kolk_blocking(struct load *load);
#else
#define http_kolk NULL
#define redis_kolk NULL
#define redis_kolk_blocking NULL
#define postgres_kolk NULL
#define postgres_kolk_prepared NULL
#define postgres_kolk_discarding NULL
#define postgres_kolk_blocking NULL
#endif
#ifdef KOLK_BENCH_CURL
void http_curl(struct load *load);
#else
#define http_curl NULL
#endif
#ifdef KOLK_BENCH_HIREDIS
void redis_hiredis(struct load *load);
void redis_hiredis_blocking(struct load *load);
#else
#define redis_hiredis NULL
#define redis_hiredis_blocking NULL
#endif
#ifdef KOLK_BENCH_PQ
void postgres_libpq(struct load *load);
void postgres_libpq_blocking(struct load *load);
#else
#define postgres_libpq NULL
#define postgres_libpq_blocking NULL
#endif

#endif
