/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-bench SCENARIO [options]. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kit.h"

struct scenario {
	const char *name, *pool, *about;
	int (*run)(const struct args *args);
};

static const struct scenario scenarios[] = {
	{ "limits", "kolk", "what single operations cost here; --threads N: shared structures",
	  scenario_limits },
	{ "hit", "kolk", "acquire + release of an idle connection; --scaling: 1 to 32 threads",
	  scenario_hit },
	{ "handover", "kolk", "more threads than connections; --hold-us, --overtake-us, --matrix",
	  scenario_handover },
	{ "mutex", "mutex", "handover on the rival: one mutex and a list", scenario_handover },
	{ "keys", "kolk", "many keys: bytes and cycles; large keys; --size: TLS records of so many bytes", scenario_keys },
	{ "deadline", "kolk", "lateness of time-outs; --hogs N busy threads beside",
	  scenario_deadline },
	{ "roundtrip", "kolk", "requests over sockets beside the same by hand; --size, --tls",
	  scenario_roundtrip },
	{ "dial", "kolk", "connections made and closed; --tls, --resume; --herd: a dead endpoint",
	  scenario_dial },
	{ "burst", "kolk", "round trips beside a cold burst of TLS handshakes on the same loop",
	  scenario_burst },
	{ "wake", "kolk", "latency of a hand-over between loops, between threads, mixed",
	  scenario_wake },
	{ "tenants", "kolk", "a neighbour beside a tenant that wants 100 x its share; --seconds",
	  scenario_tenants },
	{ "scale", "kolk", "does the cost grow? 10 to 50 000 connections of a key; --series, --quick",
	  scenario_scale },
	{ "http", "kolk", "requests to nginx or nghttpd beside libcurl; --protocol 1.1|2, --tls",
	  scenario_http },
	{ "redis", "kolk", "GET of a real Redis beside hiredis by hand; --depth: sent together",
	  scenario_redis },
	{ "postgres", "kolk", "SELECT of a real PostgreSQL beside libpq by hand; --depth",
	  scenario_postgres },
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static int usage(void)
{
	printf("kolk-bench SCENARIO [--threads N] [--connections M] [--keys K] [--cycles N | "
	       "--seconds S]\n           [--hold-us H] [--overtake-us U] [--pool kolk|mutex] "
	       "\n           [--size BYTES] [--tls] [--resume] [--backend auto|io_uring|epoll] [--json FILE|-]"
	       "\n           [--protocol 1.1|2] [--concurrency N,N] [--bytes N,N] [--depth N,N] [--rounds N] "
	       "\n           [--client NAME] [--series NAME,NAME] [--burst N] [--quick]\n\n");
	for (int i = 0; i < SCENARIOS; i++)
		printf("  %-9s %s\n", scenarios[i].name, scenarios[i].about);
	return 0;
}

static double number(const char *name, const char *text)
{
	char *end;
	double value;

	if (text == NULL)
		die("%s needs a value", name);
	errno = 0;
	value = strtod(text, &end);
	if (errno != 0 || *end != 0 || end == text || value < 0)
		die("%s: '%s' is not a number", name, text);
	return value;
}

enum kind { FLAG, TEXT, COUNT, CYCLES, REAL, MICROSECONDS, BACKEND };

struct option {
	const char *name;
	enum kind kind;
	size_t offset;
};

#define OPTION(name, kind, field) { name, kind, offsetof(struct args, field) }
static const struct option options[] = {
	OPTION("--scaling", FLAG, scaling),
	OPTION("--matrix", FLAG, matrix),
	OPTION("--tls", FLAG, tls),
	OPTION("--resume", FLAG, resume),
	OPTION("--herd", FLAG, herd),
	OPTION("--quick", FLAG, quick),
	OPTION("--series", TEXT, series),
	OPTION("--json", TEXT, json),
	OPTION("--pool", TEXT, pool),
	OPTION("--protocol", TEXT, protocol),
	OPTION("--client", TEXT, client),
	OPTION("--concurrency", TEXT, concurrency),
	OPTION("--bytes", TEXT, bytes),
	OPTION("--depth", TEXT, depth),
	OPTION("--threads", COUNT, threads),
	OPTION("--connections", COUNT, connections),
	OPTION("--keys", COUNT, keys),
	OPTION("--hogs", COUNT, hogs),
	OPTION("--rounds", COUNT, rounds),
	OPTION("--burst", COUNT, burst),
	OPTION("--size", COUNT, size),
	OPTION("--cycles", CYCLES, cycles),
	OPTION("--seconds", REAL, seconds),
	OPTION("--hold-us", MICROSECONDS, hold_ns),
	OPTION("--overtake-us", MICROSECONDS, overtake_ns),
	OPTION("--backend", BACKEND, backend),
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static uint32_t backend(const char *value)
{
	static const char *const names[] = { "auto", "io_uring", "epoll" };

	for (uint32_t i = 0; i < 3; i++)
		if (value != NULL && strcmp(value, names[i]) == 0)
			return i;
	die("--backend is auto, io_uring or epoll");
}

static void set(const struct option *option, const char *value, void *field)
{
	switch (option->kind) {
	case FLAG:
		*(bool *)field = true;
		break;
	case TEXT:
		if (value == NULL)
			die("%s needs a value", option->name);
		*(const char **)field = value;
		break;
	case COUNT:
		*(uint32_t *)field = (uint32_t)number(option->name, value);
		break;
	case CYCLES:
		*(uint64_t *)field = (uint64_t)number(option->name, value);
		break;
	case REAL:
		*(double *)field = number(option->name, value);
		break;
	case MICROSECONDS:
		*(uint64_t *)field = (uint64_t)(number(option->name, value) * 1000);
		break;
	case BACKEND:
		*(uint32_t *)field = backend(value);
		break;
	}
}

static void parse(int count, char **words, struct args *args)
{
	for (int i = 0; i < count; i++) {
		const struct option *option = options;

		while (option < options + OPTIONS && strcmp(option->name, words[i]) != 0)
			option++;
		if (option == options + OPTIONS)
			die("unknown option %s; kolk-bench help lists them", words[i]);
		set(option, option->kind != FLAG && i + 1 < count ? words[i + 1] : NULL,
		    (char *)args + option->offset);
		i += option->kind != FLAG;
	}
	if (strcmp(args->pool, "kolk") != 0 && strcmp(args->pool, "mutex") != 0)
		die("--pool is kolk or mutex");
}

int main(int argc, char **argv)
{
	struct args args = { .seconds = 1, .overtake_ns = KOLK_FOREVER };

	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return usage();
	for (int i = 0; i < SCENARIOS; i++) {
		if (strcmp(argv[1], scenarios[i].name) != 0)
			continue;
		args.pool = scenarios[i].pool;
		parse(argc - 2, argv + 2, &args);
		return scenarios[i].run(&args);
	}
	die("unknown scenario %s; kolk-bench help lists them", argv[1]);
}
