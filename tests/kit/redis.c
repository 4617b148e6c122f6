/* SPDX-License-Identifier: Apache-2.0 */
/* redis.c - Redis for tests: nothing is saved, everything else as the caller says. */
#include <stdio.h>
#include <string.h>

#include "tests/kit/peer.h"
#include "tests/kit/tap.h"

static bool redis_ready(struct kit_peer *peer)
{
	char path[KIT_PEER_PATH];

	return peer_answers(peer_path(peer, "socket", path), "PING\r\n", "+PONG", "-NOAUTH");
}

static void listen_args(struct kit_peer *peer, const struct kit_redis_options *options)
{
	const char *directory = peer->directory;

	peer->port = peer_port(peer->address);
	peer_arg(peer, "--port");
	peer_arg(peer, "%d", peer->port);
	peer_arg(peer, "--unixsocket");
	peer_arg(peer, "%s/socket", directory);
	if (!options->tls)
		return;
	peer->tls_port = peer_port(peer->tls_address);
	peer_arg(peer, "--tls-port");
	peer_arg(peer, "%d", peer->tls_port);
	peer_arg(peer, "--tls-cert-file");
	peer_arg(peer, "%s/cert.pem", directory);
	peer_arg(peer, "--tls-key-file");
	peer_arg(peer, "%s/key.pem", directory);
	peer_arg(peer, "--tls-ca-cert-file");
	peer_arg(peer, "%s/ca.pem", directory);
	peer_arg(peer, "--tls-auth-clients");
	peer_arg(peer, "no");
}

static bool redis_configure(struct kit_peer *peer)
{
	static const char *const always[] = {
		"--bind",      "127.0.0.1", "--save",	    "",	    "--appendonly",  "no",
		"--daemonize", "no",	    "--maxclients", "8192", "--tcp-backlog", "4096",
		"--loglevel",  "notice"
	};
	const struct kit_redis_options *options = peer->private->options;
	char path[KIT_PEER_PATH];

	peer_arg(peer, "%s", peer_program("redis-server", "redis-server", path));
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		peer_arg(peer, *always[i] == '\0' ? "\"\"" : "%s", always[i]);
	listen_args(peer, options);
	if (options->password != NULL) {
		peer_arg(peer, "--requirepass");
		peer_arg(peer, "%s", options->password);
	}
	for (const char *const *arg = options->args; arg != NULL && *arg != NULL; arg++)
		peer_arg(peer, "%s", *arg);
	return true;
}

struct kit_peer *kit_redis_start(const struct kit_redis_options *options)
{
	char path[KIT_PEER_PATH];
	struct kit_peer *peer;

	if (*peer_program("redis-server", "redis-server", path) == '\0')
		return NULL;
	peer = peer_new("redis", options, sizeof *options);
	if (peer == NULL)
		return NULL;
	peer->private->ready = redis_ready;
	peer->private->configure = redis_configure;
	snprintf(peer->unix_address, sizeof peer->unix_address, "unix:%s/socket",
		 peer->directory);
	if (!options->tls || peer_certify(peer))
		return peer_start(peer);
	kit_peer_close(peer);
	return NULL;
}
