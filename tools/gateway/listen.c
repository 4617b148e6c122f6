/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - the listeners of the configuration: addresses, and sockets of a service manager. */
#define _GNU_SOURCE /* strerrordesc_np */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gateway/config/fixed.h"
#include "tools/gateway/gateway.h"

enum { FIRST_SOCKET = 3 }; /* SD_LISTEN_FDS_START of sd_listen_fds(3) */

/* The socket that the service manager calls so; -1 = none. */
static int activated(const char *name)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");

	if (pid == NULL || count == NULL || names == NULL || strtol(pid, NULL, 10) != getpid())
		return -1;
	for (int i = 0; i < (int)strtol(count, NULL, 10) && names != NULL; i++) {
		size_t size = strcspn(names, ":");

		if (size == strlen(name) && strncmp(names, name, size) == 0) {
			(void)fcntl(FIRST_SOCKET + i, F_SETFD, FD_CLOEXEC);
			return FIRST_SOCKET + i;
		}
		names = names[size] == ':' ? names + size + 1 : NULL;
	}
	return -1;
}

static const char *name_of(const struct gw_listener *item)
{
	return item->socket_name != NULL ? item->socket_name : item->options.address;
}

/* Of an error of the operating system its text alone; why, where there is one reason. */
static void complain(const struct gw_listener *item, enum kolk_err err,
		     const struct kolk_failure *failure)
{
	static const struct {
		int os_error;
		const char *why;
	} reasons[] = {
		{ EADDRINUSE, ": another process has it, or another listener here" },
		{ EADDRNOTAVAIL, ": this machine does not have it" },
		{ EACCES, ": for ports below 1024 see SERVICE in kolk-gateway(8)" },
	};
	const char *address = item->options.address, *why = "";
	const bool has_port = address != NULL && strncmp(address, "unix:", 5) != 0;

	for (size_t i = 0; has_port && i < sizeof reasons / sizeof reasons[0]; i++)
		if (failure->os_error == reasons[i].os_error)
			why = reasons[i].why;
	if (failure->os_error != 0)
		fprintf(stderr, "kolk-gateway: cannot listen at %s: %s%s\n", name_of(item),
			strerrordesc_np(failure->os_error), why);
	else
		fprintf(stderr, "kolk-gateway: cannot listen at %s: %s%s%s\n", name_of(item),
			kolk_err_text(err), failure->field != NULL ? ": " : "",
			failure->field != NULL ? failure->field : "");
}

static bool listen_at(struct gateway *gateway, uint32_t i)
{
	const struct gw_listener *item = &gateway->view->config->listeners[i];
	struct kolk_listener_options options = item->options;
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	if (item->socket_name != NULL) {
		int passed = activated(item->socket_name);

		if (passed < 0 && options.address == NULL) {
			fprintf(stderr,
				"kolk-gateway: the service manager passed no socket '%s' "
				"(LISTEN_FDNAMES): give the listener an 'address', too\n",
				item->socket_name);
			return false;
		}
		options.socket = passed < 0 ? 0 : passed;
		options.address = passed < 0 ? options.address : NULL;
	}
	options.failure = &failure;
	err = kolk_http_server_listen(gateway->server, &options, &gateway->listeners[i]);
	if (err == KOLK_OK) {
		fprintf(stderr, "kolk-gateway: listening at %s\n",
			kolk_listener_address(gateway->listeners[i]));
		return true;
	}
	complain(item, err, &failure);
	return false;
}

bool gw_listen(struct gateway *gateway)
{
	const struct gw_config *config = gateway->view->config;

	gateway->fixed = gw_config_fixed(config);
	gateway->listeners = calloc(config->listener_count + 1, sizeof(struct kolk_listener *));
	for (uint32_t i = 0; gateway->listeners != NULL && i < config->listener_count; i++)
		if (!listen_at(gateway, i))
			return false;
	return gateway->listeners != NULL && gateway->fixed != NULL;
}

bool gw_listen_same(const struct gw_config *before, const struct gw_config *after)
{
	if (before->listener_count != after->listener_count)
		return false;
	for (uint32_t i = 0; i < before->listener_count; i++) {
		const struct gw_listener *a = &before->listeners[i], *b = &after->listeners[i];

		if (strcmp(name_of(a), name_of(b)) != 0 ||
		    (a->options.tls == NULL) != (b->options.tls == NULL))
			return false;
	}
	return true;
}

enum kolk_err gw_listen_renew(struct gateway *gateway, const struct gw_config *config)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err = KOLK_OK;

	for (uint32_t i = 0; err == KOLK_OK && i < config->listener_count; i++)
		if (config->listeners[i].options.tls != NULL)
			err = kolk_listener_tls_set(gateway->listeners[i],
						    config->listeners[i].options.tls, &failure);
	return err;
}
