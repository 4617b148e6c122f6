/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h - the main job: traffic of many callers, pooled and with a connection per request. */
#ifndef KOLK_DEMO_H
#define KOLK_DEMO_H

#include <kolk/kolk.h>
#include <stdio.h>
#include <sys/types.h>

#include "tests/kit/measure.h"
#include "tests/kit/origin.h"

struct protocol {
	const char *name;
	const struct kolk_driver *(*driver)(void);
	/* Write the request of a caller, who are counted from 0, for this host; its size. */
	size_t (*request)(char *buffer, size_t capacity, const char *host, uint32_t caller);
	/* Bytes of the whole answer, 0 = more must come, -1 = that is no answer. */
	long (*answer)(const char *bytes, size_t size, size_t request_size);
};

/* NULL when there is none of this name. */
const struct protocol *protocol_find(const char *name);

struct options {
	const char *target;   /* NULL = the embedded origin */
	const char *ca, *json;
	bool tls, serve;
	const struct protocol *protocol;
	double seconds;
	uint32_t callers;
	uint32_t backend;
};

/* Without the admin server there is nothing to serve, and without the gateway nothing is behind it. */
#ifdef KOLK_OPS
enum { CAN_SERVE = true };
#else
enum { CAN_SERVE = false };
#endif
#ifdef GATEWAY_PROGRAM
enum { HAS_GATEWAY = true };
#else
enum { HAS_GATEWAY = false };
#endif

/* Those that are wrong end the program, with status 2. */
void options_read(int argc, char **argv, struct options *o);

/* What one way of doing it gave. */
struct outcome {
	double requests_per_s;
	uint64_t requests, failed;
	enum kolk_err last_error;
	struct hist request, acquire, release;
	struct kolk_stats stats; /* at the end */
	uint64_t upstream;       /* behind kolk-gateway: connections that the origin accepted, sessions
				  * that MCP servers made */
};

/* Drive so many callers over the engine's loops for so long, with a line of progress. */
void traffic_run(struct kolk_pool *pool, const struct options *options, const char *what,
		 struct outcome *outcome);
/* Sit still, so that pings and evictions can be seen. */
void traffic_rest(double seconds);

struct report {
	const struct options *options;
	struct kolk_engine *engine;
	const char *warning; /* what the engine logged about its back end, or "" */
	const char *where;   /* the target */
	const struct outcome *pooled, *unpooled;
	const struct outcome *fronted; /* behind kolk-gateway: pooled, unpooled; NULL = not tried */
	const struct outcome *mcp;     /* likewise: tools of MCP servers */
};

void report_table(const struct report *report);
/* False when the file cannot be written. */
bool report_json(const struct report *report);

/* ---- gateway.c */

/* A file without a place, of which nothing is left, and the path by which this process finds it, and its
 * children without MFD_CLOEXEC. NULL = errno. */
FILE *memory_file(const char *name, unsigned int flags, char path[32]);

/* A kolk-gateway that runs. */
struct gateway {
	pid_t pid;
	int log;            /* a file of what it says */
	char address[64];   /* that it listens at */
	char said[1024];    /* when it did not start */
};

struct gateway_places {
	const char *ca;          /* of the upstream */
	uint16_t upstream, port; /* of 127.0.0.1; port 0 = of the system's choice */
};

/* Write what the gateway is to do, for so many callers. */
void gateway_configure(FILE *file, const struct options *options, bool pooled,
		       const struct gateway_places *places);
/* Start it with a file, and wait until it listens. False: said has what it said. */
bool gateway_start(struct gateway *gateway, const char *config);
/* Let it finish, and wait for that. */
void gateway_stop(struct gateway *gateway);

struct front {
	struct kolk_engine *engine; /* of the callers */
	const struct kit_origin *origin;
	const struct options *options;
	bool pooled;                /* upstream */
	const struct kit_cert *certificate; /* of MCP servers */
};

/* What is behind a gateway. */
struct behind {
	const struct protocol *protocol; /* of the callers */
	const char *what;                /* for the line of progress */
	void (*configure)(FILE *file, const struct front *front, const void *servers);
	const void *servers;
};

/* Start a gateway, and drive the callers through it. NULL; or why it cannot be. */
const char *gateway_run(const struct front *front, const struct behind *behind,
			struct outcome *outcome);
/* The same traffic in HTTP, through a gateway in front of the origin. NULL; or why it cannot be. */
const char *gateway_traffic(const struct front *front, struct outcome *outcome);

/* ---- gateway_mcp.c */

enum { MCP_SERVERS = 4 };

/* Users that call tools of MCP servers of this process through a gateway; over pooled sessions, or with a
 * session for each call. NULL; or why it cannot be. */
const char *gateway_mcp_traffic(const struct front *front, struct outcome *outcome);
/* As many as there are callers; each has a tenant's limits and a session. */
static inline uint32_t gateway_mcp_users(const struct options *options)
{
	return options->callers < 256 ? options->callers : 256;
}

/* ---- serve.c */

/* Keep several tenants busy with the admin server open, until SIGINT or SIGTERM. */
void serve_run(const struct options *options);
/* Where its socket is, unless something else is there already. */
void serve_directory(char *path, size_t capacity);
/* How to start it and where it will be. */
void serve_hint(void);

#endif
