/* SPDX-License-Identifier: Apache-2.0 */
/* peer_tools.c - what servers need before they start and tests before they trust them: ports,
 * certificates, documents, a first question. */
#define _GNU_SOURCE
#include "tests/kit/peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/kit/cert.h"
#include "tests/kit/tap.h"

const char *peer_program(const char *name, const char *package, char path[KIT_PEER_PATH])
{
	static const char *const places[] = { "/usr/sbin", "/usr/bin",
					      "/usr/lib/postgresql/15/bin",
					      "/usr/lib/postgresql/17/bin", "/usr/local/bin" };
	static char reason[96];

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(path, KIT_PEER_PATH, "%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	snprintf(reason, sizeof reason, "%s is not installed (package %s)", name, package);
	tap_skip(reason);
	return "";
}

bool peer_write(const struct kit_peer *peer, const char *name, const char *text)
{
	char path[KIT_PEER_PATH];

	return CHECK(kit_file_write(peer_path(peer, name, path), text));
}

bool peer_certify(struct kit_peer *peer)
{
	const struct kit_cert_spec ca = { .subject = "kolk test authority", .authority = true };
	const struct kit_cert_spec leaf = { .subject = "peer",
					    .dns = "localhost",
					    .ip = "127.0.0.1" };
	struct kit_cert authority, cert;

	peer_path(peer, "ca.pem", peer->ca_file);
	return CHECK(kit_cert_make(&ca, NULL, &authority)) &&
	       CHECK(kit_cert_make(&leaf, &authority, &cert)) &&
	       peer_write(peer, "ca.pem", authority.pem) &&
	       peer_write(peer, "cert.pem", cert.pem) && peer_write(peer, "key.pem", cert.key);
}

uint16_t peer_port(char address[KIT_PEER_ADDRESS])
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (int i = 0; i < 1000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bound;
		uint16_t port = 0;

		if (getrandom(&port, sizeof port, 0) != sizeof port)
			abort();
		port = (uint16_t)(12000 + port % 20000);
		in.sin_port = htons(port);
		bound = bind(fd, (struct sockaddr *)&in, sizeof in);
		close(fd);
		if (bound == 0) {
			snprintf(address, KIT_PEER_ADDRESS, "127.0.0.1:%d", port);
			return port;
		}
	}
	abort(); /* 1000 ports in a row are taken */
}

/* ---- the first question */

static bool ask(int fd, const struct sockaddr *address, socklen_t size, const char *request,
		const char *a, const char *b)
{
	const struct timeval patience = { .tv_sec = 2 };
	char answer[256] = "";
	bool answered;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	answered = connect(fd, address, size) == 0;
	if (answered && request != NULL)
		answered =
			send(fd, request, strlen(request), MSG_NOSIGNAL) > 0 &&
			recv(fd, answer, sizeof answer - 1, 0) > 0 &&
			(strstr(answer, a) != NULL || (b != NULL && strstr(answer, b) != NULL));
	close(fd);
	return answered;
}

bool peer_answers(const char *path, const char *request, const char *a, const char *b)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	return ask(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&un,
		   sizeof un, request, a, b);
}

bool peer_answers_on(uint16_t port, const char *request, const char *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return ask(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&in,
		   sizeof in, request, a, NULL);
}

/* ---- documents */

static bool document(const struct kit_peer *peer, size_t size)
{
	char path[KIT_PEER_PATH], name[32], *text = malloc(size + 1);
	bool written;

	if (text == NULL)
		return false;
	memset(text, 'x', size);
	text[size] = '\0';
	snprintf(name, sizeof name, "root/bytes/%zu", size);
	written = kit_file_write(peer_path(peer, name, path), text) && chmod(path, 0644) == 0;
	free(text);
	return CHECK(written);
}

bool peer_documents(const struct kit_peer *peer)
{
	static const size_t sizes[] = { 0, 1, 1000, 65536, 1000000, 10000000 };
	static const char *const folders[] = { "root", "root/bytes", "root/put", "upload" };
	char path[KIT_PEER_PATH];

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (!CHECK(mkdir(peer_path(peer, folders[i], path), 0755) == 0))
			return false;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (!document(peer, sizes[i]))
			return false;
	return peer_write(peer, "root/small", "small\n") && peer_write(peer, "root/empty", "");
}
