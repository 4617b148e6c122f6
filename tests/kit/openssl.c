/* SPDX-License-Identifier: Apache-2.0 */
/* openssl.c - `openssl s_server` and s_client for tests: the most common TLS peer, and a chain of
 * certificates with the extensions that a test requests: root, inter, leaf; and other, another
 * root. */
#include <stdio.h>

#include "tests/kit/peer.h"
#include "tests/kit/tap.h"

static const char config[] = "[req]\n"
			     "distinguished_name = dn\n"
			     "[dn]\n"
			     "[root]\n"
			     "basicConstraints = critical,CA:true\n"
			     "[other]\n"
			     "basicConstraints = critical,CA:true\n"
			     "[inter]\n"
			     "basicConstraints = critical,CA:true\n"
			     "%s\n"
			     "[leaf]\n"
			     "subjectAltName = DNS:localhost,IP:127.0.0.1\n"
			     "%s\n";

/* RFC 2409, section 6.2: 1024 bits */
static const char dh1024[] =
	"-----BEGIN DH PARAMETERS-----\n"
	"MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR\n"
	"Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL\n"
	"/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC\n"
	"-----END DH PARAMETERS-----\n";

static const char script[] =
	"set -e\n"
	"make() {\n"
	"	openssl req -x509 -newkey $key -nodes -config ssl.cnf -extensions $1 \\\n"
	"		-subj /CN=$1 -days 30 -keyout $1.key -out $1.pem ${2:+-CA $2.pem -CAkey $2.key}\n"
	"}\n"
	"key='ec -pkeyopt ec_paramgen_curve:P-256'\n"
	"make other\n"
	"make root\n"
	"make inter root\n"
	"key=${LEAF_KEY:-$key}\n"
	"make leaf inter\n"
	"cat leaf.pem inter.pem >chain.pem\n";

static bool certify(struct kit_peer *peer, const struct kit_openssl_options *options)
{
	const char *const key = options->key != NULL ? options->key : "";
	const char *const leaf = options->leaf != NULL ? options->leaf : "";
	const char *const inter = options->inter != NULL ? options->inter : "";
	char text[32768], steps[1024];
	char *const args[] = { (char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c", steps, NULL };
	int size = snprintf(text, sizeof text, config, inter, leaf);

	snprintf(steps, sizeof steps, "LEAF_KEY='%s'\n%s", key, script);
	peer_path(peer, "root.pem", peer->ca_file);
	return CHECK(size > 0 && (size_t)size < sizeof text) && peer_write(peer, "ssl.cnf", text) &&
	       peer_write(peer, "dh1024.pem", dh1024) &&
	       CHECK(peer_run(peer, args, "output"));
}

static bool openssl_ready(struct kit_peer *peer)
{
	return peer_answers_on(peer->tls_port, NULL, NULL);
}

static bool openssl_configure(struct kit_peer *peer)
{
	const struct kit_openssl_options *options = peer->private->options;
	char path[KIT_PEER_PATH];

	peer->tls_port = peer_port(peer->tls_address);
	peer_arg(peer, "%s", peer_program("openssl", "openssl", path));
	peer_arg(peer, "s_server");
	peer_arg(peer, "-rev");
	peer_arg(peer, "-accept");
	peer_arg(peer, "%s", peer->tls_address);
	for (const char *const *arg = options->args; arg != NULL && *arg != NULL; arg++)
		peer_arg(peer, "%s", *arg);
	peer_arg(peer, "-cert");
	peer_arg(peer, "leaf.pem");
	peer_arg(peer, "-cert_chain");
	peer_arg(peer, "chain.pem");
	peer_arg(peer, "-key");
	peer_arg(peer, "leaf.key");
	return true;
}

struct kit_peer *kit_openssl_start(const struct kit_openssl_options *options)
{
	char path[KIT_PEER_PATH];
	struct kit_peer *peer;

	if (*peer_program("openssl", "openssl", path) == '\0')
		return NULL;
	peer = peer_new("openssl", options, sizeof *options);
	if (peer == NULL)
		return NULL;
	peer->private->ready = openssl_ready;
	peer->private->configure = openssl_configure;
	if (certify(peer, options))
		return peer_start(peer);
	kit_peer_show(peer);
	kit_peer_close(peer);
	return NULL;
}

bool kit_openssl_client(const struct kit_openssl_talk *talk, char *output, size_t size)
{
	char path[KIT_PEER_PATH], command[2048];
	size_t got;
	FILE *client;

	output[0] = 0;
	if (*peer_program("openssl", "openssl", path) == 0)
		return false;
	snprintf(command, sizeof command,
		 "printf '%s' | timeout -s KILL %s %s s_client -connect %s -ign_eof %s 2>&1",
		 talk->input, talk->seconds != NULL ? talk->seconds : "5", path, talk->address,
		 talk->arguments);
	client = popen(command, "re");
	if (!CHECK(client != NULL))
		return false;
	got = fread(output, 1, size - 1, client);
	output[got] = 0;
	pclose(client);
	return true;
}
