/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configured.c - a program whose pools stand in a file: example-configured FILE POOL TARGET
 *
 * FILE is a configuration (kolk-config(5)), POOL the name of a pool in it with "protocol: http".
 * Address, TLS, limits, time-outs and credentials are the file's; the program knows names alone.
 */
#include <kolk/http.h>
#include <kolk/kolk.h>
#include <kolk/ops/config.h>
#include <stdio.h>

static struct kolk_engine *open_file(const char *path)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_engine *engine = NULL;
	struct kolk_config *config;
	char text[2048];

	if (kolk_config_load(path, NULL, &config, &error) == KOLK_OK) {
		if (kolk_config_open(config, NULL, &engine, &error) != KOLK_OK)
			engine = NULL;
		kolk_config_free(config); /* the engine has copies of what it needs */
	}
	if (engine == NULL) {
		kolk_config_error_text(&error, text, sizeof text);
		fprintf(stderr, "%s\n", text);
	}
	return engine;
}

static bool ask(struct kolk_http *http, struct kolk_pool *pool, const char *target)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	enum kolk_err err;

	request.target = target;
	err = kolk_http_call(http, kolk_pool_key(pool), &request, NULL, &response);
	if (err == KOLK_OK)
		printf("%u, %zu bytes over HTTP/%u.%u\n", response.status, response.body_size,
		       response.version / 10, response.version % 10);
	else
		fprintf(stderr, "%s: %s\n", target, kolk_err_text(err));
	kolk_http_response_free(&response);
	return err == KOLK_OK;
}

int main(int argc, char **argv)
{
	struct kolk_engine *engine;
	struct kolk_http *http;
	struct kolk_pool *pool;
	bool ok = false;

	if (argc < 4) {
		fprintf(stderr, "example-configured FILE POOL TARGET\n");
		return 2;
	}
	engine = open_file(argv[1]);
	if (engine == NULL)
		return 1;
	pool = kolk_pool_find(engine, argv[2]);
	if (pool == NULL)
		fprintf(stderr, "%s has no pool '%s'\n", argv[1], argv[2]);
	else if (kolk_http_open(kolk_engine_loop(engine, 0), NULL, &http) == KOLK_OK) {
		ok = ask(http, pool, argv[3]);
		kolk_http_close(http, NULL, NULL); /* before the engine */
	}
	kolk_engine_destroy(engine);
	return ok ? 0 : 1;
}
