/* SPDX-License-Identifier: Apache-2.0 */
/* nghttpd.c - nghttp2's own server for tests: an HTTP/2 peer that is not nginx. */
#include <stdio.h>

#include "tests/kit/peer.h"
#include "tests/kit/tap.h"

static bool nghttpd_ready(struct kit_peer *peer)
{
	return peer_answers_on(peer->tls_port != 0 ? peer->tls_port : peer->h2c_port, NULL,
			       NULL);
}

static bool nghttpd_configure(struct kit_peer *peer)
{
	const struct kit_nghttpd_options *options = peer->private->options;
	char path[KIT_PEER_PATH];

	peer_arg(peer, "%s", peer_program("nghttpd", "nghttp2-server", path));
	peer_arg(peer, "-a");
	peer_arg(peer, "127.0.0.1");
	peer_arg(peer, "-d");
	peer_arg(peer, "%s/root", peer->directory);
	for (const char *const *arg = options->args; arg != NULL && *arg != NULL; arg++)
		peer_arg(peer, "%s", *arg);
	if (options->tls) {
		peer->tls_port = peer_port(peer->tls_address);
		peer_arg(peer, "%d", peer->tls_port);
		peer_arg(peer, "%s/key.pem", peer->directory);
		peer_arg(peer, "%s/cert.pem", peer->directory);
	} else {
		peer->h2c_port = peer_port(peer->h2c_address);
		peer_arg(peer, "--no-tls");
		peer_arg(peer, "%d", peer->h2c_port);
	}
	return true;
}

struct kit_peer *kit_nghttpd_start(const struct kit_nghttpd_options *options)
{
	char path[KIT_PEER_PATH];
	struct kit_peer *peer;

	if (*peer_program("nghttpd", "nghttp2-server", path) == '\0')
		return NULL;
	peer = peer_new("nghttpd", options, sizeof *options);
	if (peer == NULL)
		return NULL;
	peer->private->ready = nghttpd_ready;
	peer->private->configure = nghttpd_configure;
	if (peer_documents(peer) && (!options->tls || peer_certify(peer)))
		return peer_start(peer);
	kit_peer_close(peer);
	return NULL;
}
