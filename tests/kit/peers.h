/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - real servers for a test: nginx, Redis, PostgreSQL, nghttpd, OpenSSL's s_server.
 *
 * Each has a temporary directory of its own, listens on 127.0.0.1 and, if it can, on a Unix socket
 * in that directory, and is ready when start returns. kit_peer_close ends it and removes the
 * directory; so does a keeper process when the test program crashes.
 *
 * start returns NULL when the program is not installed (the test is marked as skipped) or when it
 * did not start (the test is marked as failed, and the server's output is shown): return then.
 */
#ifndef KOLK_KIT_PEERS_H
#define KOLK_KIT_PEERS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { /* bytes of the names below */
	KIT_PEER_ADDRESS = 32,
	KIT_PEER_DIRECTORY = 48,
	KIT_PEER_PATH = 96
};

/* Look, do not write. */
struct kit_peer {
	uint16_t port;     /* plain; 0 = it does not listen there */
	uint16_t tls_port; /* with .tls; PostgreSQL: the same as port */
	uint16_t h2c_port; /* HTTP/2 in plain text by prior knowledge */
	char address[KIT_PEER_ADDRESS];     /* "127.0.0.1:PORT", for kolk_pool_options */
	char tls_address[KIT_PEER_ADDRESS]; /* without "tls://" */
	char h2c_address[KIT_PEER_ADDRESS];
	char unix_address[KIT_PEER_PATH]; /* "unix:/PATH"; empty = none */
	char directory[KIT_PEER_DIRECTORY];
	char ca_file[KIT_PEER_PATH]; /* to be trusted: localhost and 127.0.0.1; .tls only */
	uint32_t generation;         /* of nginx's configuration: counts reloads */
	pid_t pid;                   /* 0 = it does not run */
	struct kit_peer_private *private;
};

/*
 * nginx answers:
 *   /small              "small\n", Content-Length 6, ETag (If-None-Match → 304)
 *   /empty              200 without a body          /204    204
 *   /echo?n=X           X; with a request body it is read and dropped
 *   /nonce              the request's header X-Nonce
 *   /chunked?n=X        X, chunked                  /trailer?n=X  the same, with trailer X-Nonce
 *   /bytes/N            N bytes of 'x', N of 0, 1, 1000, 65536, 1000000, 10000000
 *   /chunked-bytes/N    the same, chunked
 *   /slow/N             the same, at 64 KiB per second after the first 1000 bytes
 *   /delay?n=X          X, later: at most 20 of these per second are answered
 *   /sink               how many bytes the request's body has
 *   /put/NAME           PUT, GET, DELETE of files
 *   /close?n=X          X, and Connection: close    /redirect   302 to /small
 *   /status/CODE        of 400 401 404 500 503; /old answers in HTTP/1.0's manner: until the end
 *   /generation         the number of the configuration, see kit_nginx_reload
 * The same over TLS and, with .http2, over h2 (TLS, by ALPN) and h2c.
 */
struct kit_nginx_options {
	bool tls, http2;
	uint32_t keepalive_requests;   /* 0 = 1 000 000 000 */
	uint32_t keepalive_timeout_ms; /* 0 = 75 000 */
	uint32_t streams;              /* http2_max_concurrent_streams; 0 = 128 */
	uint32_t workers;              /* 0 = 1 */
	const char *http, *server;     /* more directives for these blocks; NULL = none */
};
struct kit_peer *kit_nginx_start(const struct kit_nginx_options *options);
/* As HUP does: new workers, the old ones finish what they have. True when the new ones answer.
 * options NULL = as before. */
bool kit_nginx_reload(struct kit_peer *peer, const struct kit_nginx_options *options);

struct kit_redis_options {
	bool tls;
	const char *password;    /* of user default; NULL = none */
	const char *const *args; /* more, NULL-terminated: "--maxmemory", "1mb", ... */
};
struct kit_peer *kit_redis_start(const struct kit_redis_options *options);

/* All roles log in by SCRAM-SHA-256, on the Unix socket, too. The superuser and its database: */
#define KIT_POSTGRES_USER "kolk"
#define KIT_POSTGRES_SECRET "canary-of-kolk"
struct kit_postgres_options {
	bool tls;                /* offered; with tls_only required on TCP */
	bool tls_only;
	const char *sql;         /* run once, as the superuser; NULL = none */
	const char *const *settings; /* "work_mem=1MB", ..., NULL-terminated */
};
struct kit_peer *kit_postgres_start(const struct kit_postgres_options *options);
/* Run SQL over a connection of its own, by psql: what it printed (tuples only, fields separated by
 * |, without the last newline). False when it failed. */
bool kit_postgres_sql(struct kit_peer *peer, const char *sql, char *out, size_t size);

/* Serves /small and /bytes/N as nginx does. */
struct kit_nghttpd_options {
	bool tls;                /* otherwise h2c by prior knowledge */
	const char *const *args; /* more, NULL-terminated: "-m", "10", "--echo-upload", ... */
};
struct kit_peer *kit_nghttpd_start(const struct kit_nghttpd_options *options);

/* `openssl s_server -rev`: answers each line with its bytes in reverse order, one connection after
 * the other. In its directory: leaf.pem (localhost and 127.0.0.1), signed by inter.pem, chain.pem
 * of the two, root.pem, which is ca_file and signed inter.pem, and other.pem, another root; each
 * with its NAME.key; and dh1024.pem, a group for -dhparam. */
struct kit_openssl_options {
	const char *key;         /* of the leaf, for `req -newkey`; NULL = EC P-256 */
	const char *leaf, *inter; /* more extensions, a line of openssl.cnf(5) each; NULL = none */
	const char *const *args; /* more, NULL-terminated: "-tls1_2", ... */
};
struct kit_peer *kit_openssl_start(const struct kit_openssl_options *options);
/* `openssl s_client`: says input, and ends when the server does, or is killed. */
struct kit_openssl_talk {
	const char *address, *input;
	const char *arguments; /* more, as a shell reads them */
	const char *seconds;   /* until it is killed; NULL = 5 */
};
/* What it printed. False = there is none here, and the test is skipped. */
bool kit_openssl_client(const struct kit_openssl_talk *talk, char *output, size_t size);

/* End it and remove its directory. NULL = nothing. A server that exited before is a failed test. */
void kit_peer_close(struct kit_peer *peer);
/* The two halves of a restart, on the same ports. how: SIGTERM = as its manual says, SIGKILL; of
 * PostgreSQL SIGINT = fast, SIGQUIT = immediate. True when it has ended; when it is ready. */
bool kit_peer_end(struct kit_peer *peer, int how);
bool kit_peer_again(struct kit_peer *peer);
bool kit_peer_restart(struct kit_peer *peer, int how);
/* A black hole: connections stay, nothing is answered, until it thaws. */
void kit_peer_freeze(struct kit_peer *peer);
void kit_peer_thaw(struct kit_peer *peer);
/* The last lines that it wrote, as notes. */
void kit_peer_show(const struct kit_peer *peer);

#endif
