/* SPDX-License-Identifier: Apache-2.0 */
/* scale_sockets.c - the bursts of scale_connections.c over 10 000 sockets to an echo peer. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/scale.h"

enum { SOCKETS = 10000, QUICK = 2000, FILES_BESIDE = 200 };

/* The peer is a process of its own, with as many descriptors. */
struct peer {
	pid_t pid;
	int keep;      /* closed = it ends */
	uint16_t port;
};

static void peer_main(int out, int keep)
{
	struct echo *echo = echo_open();
	uint16_t port = echo_port(echo);
	char end;

	if (write(out, &port, sizeof port) == sizeof port)
		(void)!read(keep, &end, 1);
	_exit(0);
}

static void peer_open(struct peer *peer)
{
	int out[2], keep[2];

	if (pipe(out) != 0 || pipe(keep) != 0 || (peer->pid = fork()) < 0)
		die("no process for the peer");
	if (peer->pid == 0) {
		close(keep[1]);
		peer_main(out[1], keep[0]);
	}
	close(keep[0]);
	close(out[1]);
	if (read(out[0], &peer->port, sizeof peer->port) != sizeof peer->port)
		die("no echo peer");
	close(out[0]);
	peer->keep = keep[1];
}

static void peer_close(struct peer *peer)
{
	close(peer->keep);
	waitpid(peer->pid, NULL, 0);
}

/* May this process have so many descriptors? */
static bool files_raise(rlim_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	if (limit.rlim_cur >= count)
		return true;
	limit.rlim_cur = count;
	if (limit.rlim_max < count)
		limit.rlim_max = count; /* root may */
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

void scale_sockets(const struct scale *scale)
{
	uint32_t n = scale->args->connections != 0 ? scale->args->connections :
		     scale->args->quick		   ? QUICK : SOCKETS;
	struct large_key large;
	struct peer peer;
	char address[32];

	if (!files_raise(n + FILES_BESIDE)) {
		if (scale->json != NULL)
			fprintf(scale->json, "{\"scenario\":\"scale\",\"series\":\"sockets\","
				"\"skipped\":\"RLIMIT_NOFILE\"}\n");
		else
			printf("\nsockets: skipped, this process may not have %u descriptors\n", n);
		return;
	}
	peer_open(&peer);
	snprintf(address, sizeof address, "127.0.0.1:%u", peer.port);
	large_key_open(&large, scale, n, address);
	if (scale->json == NULL)
		printf("\nsockets to an echo peer on loopback\n");
	scale_large_key(&large, n);
	large_key_close(&large);
	peer_close(&peer);
}
