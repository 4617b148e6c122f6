/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - GET requests over HTTP/1.1 and HTTP/2, plain and TLS, to a real server on the other CPU,
 * beside libcurl; and what a connection for each request would cost.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/proto.h"
#include "tests/kit/peers.h"

/* A document of so many bytes, where the servers of the kit look for them. */
static void document(const struct kit_peer *peer, uint32_t bytes)
{
	char path[KIT_PEER_PATH + 32];
	FILE *file;

	snprintf(path, sizeof path, "%s/root/bytes/%u", peer->directory, bytes);
	file = fopen(path, "w");
	if (file == NULL)
		die("cannot write %s", path);
	for (uint32_t i = 0; i < bytes; i++)
		fputc('x', file);
	if (fclose(file) != 0 || chmod(path, 0644) != 0)
		die("cannot write %s", path);
}

/* The load generator of nghttp2's own project. */
static void http_h2load(struct load *load)
{
	const struct site *site = load->site;
	char url[96], count[16], clients[16], streams[16];
	uint32_t connections = site->http2 ? 1 : load->concurrency;
	char *argv[] = { "h2load", "-t", "1", "-n", count, "-c", clients, "-m", streams,
			 site->http2 ? url : "--h1", site->http2 ? NULL : url, NULL };
	char *output;

	snprintf(url, sizeof url, "%s://127.0.0.1:%u/bytes/%u", site->ca_file ? "https" : "http",
		 site->port, load->bytes);
	snprintf(count, sizeof count, "%llu", (unsigned long long)load->count);
	snprintf(clients, sizeof clients, "%u", connections);
	snprintf(streams, sizeof streams, "%u", load->concurrency / connections);
	output = proto_tool(argv, &load->cpu_ns);
	load->ops = (uint64_t)proto_figure(output, "status codes:");
	load->wall_ns = (uint64_t)((double)load->ops * 1e9 / proto_figure(output, "s,"));
	load->connections = connections;
	free(output);
}

static void measure(const struct args *args, struct kit_peer *peer, const struct site *site)
{
	static const struct rival rivals[] = {
		{ .name = "kolk", .run = http_kolk },
		{ .name = "libcurl multi", .run = http_curl },
		{ .name = "h2load", .run = http_h2load },
		{ .name = "kolk, fresh", .run = http_kolk, .kind = FRESH },
		{ .name = "libcurl, fresh", .run = http_curl, .kind = FRESH },
	};
	uint32_t callers[LIST_MAX], bytes[LIST_MAX];
	int many = proto_list(args->concurrency, "1,8,64", callers);
	int sizes = proto_list(args->bytes, "200,16384", bytes);
	char title[96];

	snprintf(title, sizeof title, "HTTP/%s%s, %s", site->http2 ? "2" : "1.1",
		 site->ca_file ? " over TLS" : "", site->server);
	for (int i = 0; i < sizes; i++) {
		document(peer, bytes[i]);
		for (int j = 0; j < many; j++) {
			struct load plan = { .site = site, .concurrency = callers[j], .depth = 1,
					     .bytes = bytes[i] };

			proto_measure(args, site->http2 ? "http2" : "http1", title, rivals,
				      sizeof rivals / sizeof rivals[0], &plan);
		}
	}
}

int scenario_http(const struct args *args)
{
	const char *protocol = args->protocol ? args->protocol : "1.1";
	struct site site = { .server = "nginx", .http2 = strcmp(protocol, "2") == 0 };
	struct kit_peer *peer;

	if (!site.http2 && strcmp(protocol, "1.1") != 0)
		die("--protocol is 1.1 or 2");
	proto_server_side();
	if (site.http2 && !args->tls) {
		site.server = "nghttpd";
		peer = kit_nghttpd_start(&(struct kit_nghttpd_options){ 0 });
	} else {
		peer = kit_nginx_start(&(struct kit_nginx_options){ .tls = args->tls,
								    .http2 = site.http2 });
	}
	if (peer == NULL)
		die("%s did not start", site.server);
	site.port = args->tls ? peer->tls_port : site.http2 ? peer->h2c_port : peer->port;
	site.address = args->tls  ? peer->tls_address :
		       site.http2 ? peer->h2c_address :
				    peer->address;
	site.ca_file = args->tls ? peer->ca_file : NULL;
	measure(args, peer, &site);
	kit_peer_close(peer);
	return 0;
}
