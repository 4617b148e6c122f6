/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - kolk-ctl: what the command line asks for, and the commands that do it. */
#ifndef KOLK_CTL_CTL_H
#define KOLK_CTL_CTL_H

#include <stdint.h>

#include "tools/ctl/client.h"

struct kolk_config_error;

enum given {
	OPTION_POOL = 1,
	OPTION_USER = 2,
	OPTION_IDLE = 4,
	OPTION_GRACE = 8,
	OPTION_CONNECTIONS = 16,
	OPTION_YES = 32,
	OPTION_ALL = 64,
	OPTION_OUTPUT = 128,
	OPTION_FORCE = 256,
	OF_FILE = 512 /* the command takes a file, and asks no gateway */
};

struct request {
	struct client *client;
	unsigned given;          /* enum given */
	const char *pool, *user; /* NULL = any */
	const char *file;        /* of check, import */
	const char *output;      /* of import; NULL = the standard output */
	uint64_t idle_ms, grace_ms;
	bool json, colour;       /* of the standard output */
};

typedef enum outcome command_fn(const struct request *request);

command_fn command_status, command_cleanup, command_warmup, command_drain, command_resume,
	command_evict, command_reload, command_metrics, command_health;

/* Of a file and not of a gateway: without a client. check.c, import.c */
command_fn command_check, command_import;

/* Print what went wrong to the standard error; returns the outcome. */
enum outcome complain(enum outcome outcome, const char *problem);
/* The same of a file, line by line; check.c. */
void complain_of_file(const struct kolk_config_error *error);

#endif
