/* SPDX-License-Identifier: Apache-2.0 */
/* postgres.c - PostgreSQL for tests: one cluster is made per run and copied for each server. */
#define _GNU_SOURCE
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>

#include "tests/kit/peer.h"
#include "tests/kit/tap.h"

static const char rules[] = "local all all scram-sha-256\n"
			    "%s all all 127.0.0.1/32 scram-sha-256\n";

/* PostgreSQL refuses to run as root. */
static void as_postgres(struct kit_peer *peer)
{
	if (geteuid() != 0)
		return;
	peer_arg(peer, "setpriv");
	peer_arg(peer, "--reuid=postgres");
	peer_arg(peer, "--regid=postgres");
	peer_arg(peer, "--init-groups");
	peer_arg(peer, "--");
}

/* Everything in the directory is the server's: PostgreSQL insists on it for data and key. */
static bool chown_to_postgres(const struct kit_peer *peer)
{
	char *const args[] = { (char *)(uintptr_t) "chown", (char *)(uintptr_t) "-R",
			       (char *)(uintptr_t) "postgres:postgres",
			       (char *)(uintptr_t)peer->directory, NULL };

	return geteuid() != 0 || CHECK(peer_run(peer, args, "output"));
}

/* ---- the cluster that is copied */

static struct kit_peer *template; /* its keeper removes it when the program ends */
static bool template_made;

static void template_close(void)
{
	kit_peer_close(template);
	template = NULL;
}

static void template_make(void)
{
	const struct kit_postgres_options none = { .tls = false };
	char path[KIT_PEER_PATH];

	template = peer_new("initdb", &none, sizeof none);
	if (template == NULL)
		return;
	atexit(template_close);
	if (!peer_write(template, "secret", KIT_POSTGRES_SECRET "\n") ||
	    !chown_to_postgres(template))
		return;
	as_postgres(template);
	peer_arg(template, "%s", peer_program("initdb", "postgresql", path));
	peer_arg(template, "--no-sync");
	peer_arg(template, "--auth=scram-sha-256");
	peer_arg(template, "--username=" KIT_POSTGRES_USER);
	peer_arg(template, "--pwfile=%s/secret", template->directory);
	peer_arg(template, "--encoding=UTF8");
	peer_arg(template, "--locale=C");
	peer_arg(template, "%s/data", template->directory);
	template_made = peer_run(template, template->private->args, "output");
	if (!template_made)
		kit_peer_show(template);
}

static bool template_copy(struct kit_peer *peer)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char from[KIT_PEER_PATH];
	char *const args[] = { (char *)(uintptr_t) "cp", (char *)(uintptr_t) "-a", from,
			       peer->directory, NULL };

	pthread_once(&once, template_make);
	if (!CHECK(template_made))
		return false;
	peer_path(template, "data", from);
	return CHECK(peer_run(peer, args, "output"));
}

/* ---- the server */

/* What pg_ctl looks at: the eighth line of its lock file. */
static bool postgres_ready(struct kit_peer *peer)
{
	char path[KIT_PEER_PATH], text[512];
	int fd = open(peer_path(peer, "data/postmaster.pid", path), O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return atoi(text) == peer->pid && strstr(text, "\nready") != NULL;
}

static void setting(struct kit_peer *peer, const char *text)
{
	peer_arg(peer, "-c");
	peer_arg(peer, "%s", text);
}

static bool postgres_configure(struct kit_peer *peer)
{
	/* jit: a statement that would have many rows is compiled first, which takes LLVM seconds on
	 * a busy machine. */
	static const char *const always[] = { "listen_addresses=127.0.0.1",
					      "jit=off",
					      "fsync=off",
					      "full_page_writes=off",
					      "synchronous_commit=off",
					      "max_connections=200",
					      "shared_buffers=32MB",
					      "dynamic_shared_memory_type=mmap",
					      "autovacuum=off",
					      "log_min_messages=warning",
					      "password_encryption=scram-sha-256" };
	const struct kit_postgres_options *options = peer->private->options;
	char path[KIT_PEER_PATH];

	peer->port = peer_port(peer->address);
	as_postgres(peer);
	peer_arg(peer, "%s", peer_program("postgres", "postgresql", path));
	peer_arg(peer, "-D");
	peer_arg(peer, "%s/data", peer->directory);
	peer_arg(peer, "-k");
	peer_arg(peer, "%s", peer->directory);
	peer_arg(peer, "-p");
	peer_arg(peer, "%d", peer->port);
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		setting(peer, always[i]);
	for (const char *const *s = options->settings; s != NULL && *s != NULL; s++)
		setting(peer, *s);
	snprintf(peer->unix_address, sizeof peer->unix_address, "unix:%s/.s.PGSQL.%d",
		 peer->directory, peer->port);
	if (!options->tls && !options->tls_only)
		return true;
	peer->tls_port = peer->port;
	memcpy(peer->tls_address, peer->address, sizeof peer->tls_address);
	setting(peer, "ssl=on");
	peer_arg(peer, "--ssl_cert_file=%s/cert.pem", peer->directory);
	peer_arg(peer, "--ssl_key_file=%s/key.pem", peer->directory);
	return true;
}

static bool prepare(struct kit_peer *peer, const struct kit_postgres_options *options)
{
	char text[256];

	snprintf(text, sizeof text, rules, options->tls_only ? "hostssl" : "host");
	return template_copy(peer) && peer_write(peer, "data/pg_hba.conf", text) &&
	       ((!options->tls && !options->tls_only) || peer_certify(peer)) &&
	       chown_to_postgres(peer);
}

struct kit_peer *kit_postgres_start(const struct kit_postgres_options *options)
{
	char path[KIT_PEER_PATH], out[256];
	struct kit_peer *peer;

	if (*peer_program("postgres", "postgresql", path) == '\0')
		return NULL;
	if (geteuid() == 0 && getpwnam("postgres") == NULL) {
		tap_skip("there is no user postgres to run PostgreSQL as");
		return NULL;
	}
	peer = peer_new("postgres", options, sizeof *options);
	if (peer == NULL)
		return NULL;
	peer->private->ready = postgres_ready;
	peer->private->configure = postgres_configure;
	peer->private->polite = SIGINT;
	if (!prepare(peer, options)) {
		kit_peer_close(peer);
		return NULL;
	}
	peer = peer_start(peer);
	if (peer == NULL || options->sql == NULL ||
	    CHECK(kit_postgres_sql(peer, options->sql, out, sizeof out)))
		return peer;
	kit_peer_close(peer);
	return NULL;
}

bool kit_postgres_sql(struct kit_peer *peer, const char *sql, char *out, size_t size)
{
	char psql[KIT_PEER_PATH], path[KIT_PEER_PATH], target[256];
	char *const args[] = { psql,
			       (char *)(uintptr_t) "-XAtq",
			       (char *)(uintptr_t) "-v",
			       (char *)(uintptr_t) "ON_ERROR_STOP=1",
			       (char *)(uintptr_t) "-c",
			       (char *)(uintptr_t)sql,
			       (char *)(uintptr_t) "-d",
			       target,
			       NULL };
	ssize_t got = 0;
	bool done;
	int fd;

	if (*peer_program("psql", "postgresql", psql) == '\0')
		return false;
	snprintf(target, sizeof target,
		 "host=%s port=%d dbname=postgres user=" KIT_POSTGRES_USER
		 " password=" KIT_POSTGRES_SECRET,
		 peer->directory, peer->port);
	done = peer_run(peer, args, "psql");
	fd = open(peer_path(peer, "psql", path), O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, out, size - 1);
		close(fd);
	}
	while (got > 0 && out[got - 1] == '\n')
		got--;
	out[got > 0 ? got : 0] = '\0';
	if (!done)
		tap_note("psql said: %s", out);
	return done;
}
