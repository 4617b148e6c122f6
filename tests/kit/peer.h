/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - what the servers of peers.h have in common: a directory, a process, a way to tell that
 * it is ready. */
#ifndef KOLK_KIT_PEER_H
#define KOLK_KIT_PEER_H

#include "tests/kit/peers.h"

enum { PEER_ARGS = 64, PEER_TEXT = 4096 };

struct kit_peer_private {
	const char *name;
	char *args[PEER_ARGS + 1]; /* what is run; owned */
	int count;
	int keeper;                /* end of a pipe: the keeper acts when it is closed */
	pid_t keeper_pid;
	int pidfd;
	int polite;                /* the signal to end it with, by default */
	/* Does it answer? Asked again and again. */
	bool (*ready)(struct kit_peer *peer);
	/* Write what it reads at the start. */
	bool (*configure)(struct kit_peer *peer);
	void *options;             /* a copy; owned */
};

/* A directory with a keeper, and a copy of the options; NULL and a failed check when the machine
 * refuses. */
struct kit_peer *peer_new(const char *name, const void *options, size_t options_size);
/* Whether a program is there: its path, or "" and the test is skipped. */
const char *peer_program(const char *name, const char *package, char path[KIT_PEER_PATH]);
void peer_arg(struct kit_peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "DIRECTORY/NAME" */
const char *peer_path(const struct kit_peer *peer, const char *name, char path[KIT_PEER_PATH]);
bool peer_write(const struct kit_peer *peer, const char *name, const char *text);
/* cert.pem, key.pem, ca.pem in the directory, peer->ca_file. */
bool peer_certify(struct kit_peer *peer);
/* Ports that are free now, outside of the range from which the kernel takes ports of clients: a
 * server that restarts finds its port again, and no client connects to itself. */
uint16_t peer_port(char address[KIT_PEER_ADDRESS]);
/* Configure, run, wait until it is ready; with other ports if it does not come up. On failure the
 * peer is closed, the check failed, and NULL is returned. */
struct kit_peer *peer_start(struct kit_peer *peer);
/* Ask on a Unix socket: true when one of two texts is in the answer (b may be NULL). */
bool peer_answers(const char *path, const char *request, const char *a, const char *b);
/* The same on 127.0.0.1; request NULL = it accepts. */
bool peer_answers_on(uint16_t port, const char *request, const char *a);
/* Run a program to its end, at most a minute; its output to a file of the directory. */
bool peer_run(const struct kit_peer *peer, char *const *args, const char *output);
/* Files of so many bytes, and /small, under DIRECTORY/root. */
bool peer_documents(const struct kit_peer *peer);

#endif
