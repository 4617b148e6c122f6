/* SPDX-License-Identifier: Apache-2.0 */
/* nginx.c - nginx for tests: one configuration with every kind of answer that a client must
 * cope with. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/peer.h"
#include "tests/kit/tap.h"

enum { CONFIG = 16384, LISTEN = 1024 };

static const char head[] =
	"daemon off; worker_processes %u; error_log stderr warn; pid nginx.pid; %s\n"
	"worker_rlimit_nofile 16384;\n"
	"events { worker_connections 8192; }\n"
	"http {\n"
	"access_log off; default_type text/plain; server_tokens off; tcp_nodelay on;\n"
	"keepalive_requests %u; keepalive_timeout %ums; keepalive_time 1h;\n"
	"client_max_body_size 0; client_body_temp_path upload; proxy_temp_path upload;\n"
	"fastcgi_temp_path upload; uwsgi_temp_path upload; scgi_temp_path upload;\n"
	"limit_req_zone $server_name zone=later:1m rate=20r/s;\n"
	"http2_max_concurrent_streams %u;\n"
	"%s\n"
	/* Behind /sink: an upload is read whole before this one is asked. */
	"server { listen unix:%s/inner; location / { return 200 $http_content_length; } }\n"
	"server {\n"
	"%s" /* where it listens */
	"root %s/root;\n"
	"%s\n";

static const char locations[] =
	"location = /204 { return 204; }\n"
	"location = /echo { return 200 $arg_n; }\n"
	"location = /nonce { return 200 $http_x_nonce; }\n"
	"location = /chunked { sub_filter_types *; sub_filter \"\\0\" ''; return 200 $arg_n; "
	"}\n"
	"location = /trailer { add_trailer X-Nonce $arg_n; sub_filter_types *;\n"
	"	sub_filter \"\\0\" ''; return 200 $arg_n; }\n"
	"location /chunked-bytes/ { alias %s/root/bytes/; sub_filter_types *; sub_filter "
	"\"\\0\" ''; }\n"
	"location /slow/ { alias %s/root/bytes/; limit_rate 64k; limit_rate_after 1000; }\n"
	"location = /delay { limit_req zone=later burst=1000; try_files /none @delayed; }\n"
	"location @delayed { return 200 $arg_n; }\n"
	"location = /sink { proxy_pass http://unix:%s/inner:/; proxy_set_header Connection ''; "
	"}\n"
	"location /put/ { dav_methods PUT DELETE; create_full_put_path on; }\n"
	"location = /close { keepalive_timeout 0; return 200 $arg_n; }\n"
	"location = /redirect { return 302 /small; }\n"
	"location = /status/400 { return 400; }\n"
	"location = /status/401 { return 401; }\n"
	"location = /status/404 { return 404; }\n"
	"location = /status/500 { return 500; }\n"
	"location = /status/503 { return 503; }\n"
	"location = /old { keepalive_timeout 0; chunked_transfer_encoding off;\n"
	"	sub_filter_types *; sub_filter \"\\0\" ''; return 200 $arg_n; }\n"
	"location = /generation { return 200 %u; }\n"
	"}\n}\n";

static void listen_lines(struct kit_peer *peer, const struct kit_nginx_options *options,
			 char *text, size_t size)
{
	const char *directory = peer->directory;
	int at = snprintf(text, size, "listen %s backlog=4096; listen unix:%s/socket;\n",
			  peer->address, directory);

	if (options->tls)
		at += snprintf(
			text + at, size - (size_t)at,
			"listen %s ssl%s backlog=4096; ssl_certificate %s/cert.pem;\n"
			"ssl_certificate_key %s/key.pem; ssl_session_cache shared:s:1m;\n",
			peer->tls_address, options->http2 ? " http2" : "", directory,
			directory);
	if (options->http2)
		snprintf(text + at, size - (size_t)at, "listen %s http2 backlog=4096;\n",
			 peer->h2c_address);
}

static bool config_write(struct kit_peer *peer, const struct kit_nginx_options *options)
{
	char text[CONFIG], listens[LISTEN];
	const char *directory = peer->directory;
	int at;

	listen_lines(peer, options, listens, sizeof listens);
	at = snprintf(
		text, sizeof text, head, options->workers == 0 ? 1 : options->workers,
		geteuid() == 0 ? "user root;" : "",
		options->keepalive_requests == 0 ? 1000000000 : options->keepalive_requests,
		options->keepalive_timeout_ms == 0 ? 75000 : options->keepalive_timeout_ms,
		options->streams == 0 ? 128 : options->streams,
		options->http != NULL ? options->http : "", directory, listens, directory,
		options->server != NULL ? options->server : "");
	if (!CHECK(at > 0 && (size_t)at < sizeof text / 2))
		return false;
	snprintf(text + at, sizeof text - (size_t)at, locations, directory, directory,
		 directory, peer->generation);
	return peer_write(peer, "nginx.conf", text);
}

static bool nginx_ready(struct kit_peer *peer)
{
	return peer_answers_on(peer->port,
			       "GET /204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			       "HTTP/1.1 204");
}

static bool nginx_configure(struct kit_peer *peer)
{
	const struct kit_nginx_options *options = peer->private->options;
	char path[KIT_PEER_PATH];

	peer->port = peer_port(peer->address);
	if (options->tls)
		peer->tls_port = peer_port(peer->tls_address);
	if (options->http2)
		peer->h2c_port = peer_port(peer->h2c_address);
	peer_arg(peer, "%s", peer_program("nginx", "nginx-light", path));
	peer_arg(peer, "-p");
	peer_arg(peer, "%s", peer->directory);
	peer_arg(peer, "-e");
	peer_arg(peer, "stderr");
	peer_arg(peer, "-c");
	peer_arg(peer, "%s", peer_path(peer, "nginx.conf", path));
	return config_write(peer, options);
}

struct kit_peer *kit_nginx_start(const struct kit_nginx_options *options)
{
	char path[KIT_PEER_PATH];
	struct kit_peer *peer;

	if (*peer_program("nginx", "nginx-light", path) == '\0')
		return NULL;
	peer = peer_new("nginx", options, sizeof *options);
	if (peer == NULL)
		return NULL;
	peer->generation = 1;
	peer->private->ready = nginx_ready;
	peer->private->configure = nginx_configure;
	snprintf(peer->unix_address, sizeof peer->unix_address, "unix:%s/socket",
		 peer->directory);
	if (peer_documents(peer) && (!options->tls || peer_certify(peer)))
		return peer_start(peer);
	kit_peer_close(peer);
	return NULL;
}

/* Old workers accept for a moment beside the new ones: check several answers in a row. */
static bool generation_answers(const struct kit_peer *peer)
{
	static const char question[] =
		"GET /generation HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	char answer[32];

	snprintf(answer, sizeof answer, "\r\n\r\n%u", peer->generation);
	for (int i = 0; i < 16; i++)
		if (!peer_answers_on(peer->port, question, answer))
			return false;
	return true;
}

bool kit_nginx_reload(struct kit_peer *peer, const struct kit_nginx_options *options)
{
	if (options != NULL)
		memcpy(peer->private->options, options, sizeof *options);
	peer->generation++;
	if (!config_write(peer, peer->private->options))
		return false;
	kill(peer->pid, SIGHUP);
	if (WITHIN_MS(10000, generation_answers(peer)))
		return true;
	kit_peer_show(peer);
	return FAILED("the new workers answer");
}
