/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - a kolk-gateway that runs, and clients of it: bare sockets, and curl for HTTP/2. */
#ifndef KOLK_TESTS_GATEWAY_PROGRAM_H
#define KOLK_TESTS_GATEWAY_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/gateway/counted/counted.h"
#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

enum { PROGRAM_TEXT = 65536 };

/* Of the command line, see main.c. */
extern struct program_options {
	bool every_cut;
	uint64_t nonces, sessions, calls;
} program_options;

struct program {
	pid_t pid;
	int err;                 /* its standard error */
	uint16_t port;
	char directory[32];      /* with gw.yaml, access.log */
	struct counted *counted; /* what it has allocated; NULL = it is not counted */
	uint64_t blocks_left;    /* program_blocks at its end */
	int status;              /* with which it ended; -1 = not yet, or by a signal */
	const char *listener;    /* options of its listener: ", streams_max: 7"; NULL = none */
	char said[4096];         /* what was read of its standard error */
};

/* The parts of its file, as lines; NULL = none. */
struct program_file {
	const char *engine;  /* between braces: "loops: 1"; NULL = "loops: 2" */
	const char *pools, *routes;
	const char *gateway; /* more keys of gateway */
	bool counted;        /* what it allocates is counted; not under a sanitizer */
	const char *listener; /* as in struct program */
};

bool program_start_with(struct program *program, const struct program_file *file);
/* Pools, then routes, as lines of the file; it listens at a port of the system's choice. False, and
 * a failed check, when it does not come up. */
bool program_start(struct program *program, const char *pools, const char *routes);
/* Another file for a reload; and the reload: whether it was done. */
bool program_configure_with(struct program *program, const struct program_file *file);
bool program_configure(struct program *program, const char *pools, const char *routes);
bool program_reload(struct program *program);
/* Until its standard error has this text. */
bool program_says(struct program *program, const char *text);
/* SIGTERM; whether it ended with status 0 within ms. Removes the directory. */
bool program_stop(struct program *program, int ms);
/* Descriptors that it has open. */
uint32_t program_descriptors(const struct program *program);
/* Memory that is resident, KiB. */
uint64_t program_resident(const struct program *program);
/* What it has allocated and not freed: how many blocks, and their bytes. 0 = it is not counted. */
uint64_t program_blocks(const struct program *program);
uint64_t program_bytes(const struct program *program);
/* How often it has allocated so far. */
uint64_t program_allocations(const struct program *program);
/* Wait until the access log has this text. */
bool program_logged(const struct program *program, const char *text);

/* ---- clients */

int program_connect(const struct program *program);
bool client_send(int fd, const char *text);
/* Read until the delimiter (NULL = the end): whether it came. text is NUL-terminated. */
bool client_read(int fd, const char *delimiter, char text[PROGRAM_TEXT]);
/* One request on a connection of its own, which the gateway ends: 0 = FIN, else errno. */
int program_ask(const struct program *program, const char *request, char text[PROGRAM_TEXT]);
/* curl with these arguments, which end with the target: what it printed; its exit status. */
int program_curl(const struct program *program, const char *arguments, char text[PROGRAM_TEXT]);
/* Whether the admin server at this Unix socket says so at this path, soon. text: what it said last. */
bool program_admin_says(const struct program *program, const char *socket, const char *path,
			const char *wanted, char text[PROGRAM_TEXT]);

#endif
