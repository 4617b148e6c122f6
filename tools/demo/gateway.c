/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - kolk-gateway as a process of its own, and traffic through it. */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/demo/demo.h"

enum { START_MS = 20000, STEP_MS = 5 };

/* ---- what it is to do */

static const char text[] =
	"# kolk-gateway in front of a TLS server. All keys: docs/gateway.md.\n"
	"engine: {backend: %1$s, connections_max: %2$u, tenant_connections_max: %2$u}\n"
	"pools:\n"
	"  - name: origin\n"
	"    protocol: http\n"
	"    address: \"127.0.0.1:%3$u\"\n"
	"    tls: {ca_file: %4$s, resume: %5$s}\n"
	"    limits: {connections_max: %2$u, dials_max: %2$u, waiters_max: %2$u, %6$s}\n"
	"    timeouts: {acquire: 60s, tls: 60s}\n"
	"gateway:\n"
	"  listen: [{address: \"127.0.0.1:%7$u\"}]\n"
	"  routes: [{pool: origin}]\n";

void gateway_configure(FILE *file, const struct options *options, bool pooled,
		       const struct gateway_places *places)
{
	static const char *const backends[] = { "auto", "io_uring", "epoll" };

	fprintf(file, text, backends[options->backend], options->callers, places->upstream,
		places->ca, pooled ? "true" : "false",
		pooled ? "uses_max: unlimited" : "idle_min: none, uses_max: 1", places->port);
}

/* ---- its process */

/* It ends when this program does, however that ends. */
static void be_gateway(const char *config, int log, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
	    dup2(log, STDERR_FILENO) >= 0)
		execl(GATEWAY_PROGRAM, "kolk-gateway", "--config", config, (char *)NULL);
	dprintf(log, "%s: %s", GATEWAY_PROGRAM, strerrordesc_np(errno));
	_exit(127);
}

/* Whether it has said where it listens. */
static bool listens(struct gateway *gateway)
{
	static const char words[] = "listening at ";
	ssize_t size = pread(gateway->log, gateway->said, sizeof gateway->said - 1, 0);
	const char *at, *end;

	gateway->said[size > 0 ? size : 0] = '\0';
	at = strstr(gateway->said, words);
	end = at != NULL ? strchr(at, '\n') : NULL;
	if (end == NULL)
		return false;
	at += sizeof words - 1;
	snprintf(gateway->address, sizeof gateway->address, "%.*s", (int)(end - at), at);
	return true;
}

bool gateway_start(struct gateway *gateway, const char *config)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };
	const pid_t parent = getpid();

	gateway->log = memfd_create("kolk-gateway.log", MFD_CLOEXEC);
	gateway->pid = gateway->log >= 0 ? fork() : -1;
	if (gateway->pid == 0)
		be_gateway(config, gateway->log, parent);
	for (int ms = 0; gateway->pid > 0 && ms < START_MS; ms += STEP_MS) {
		if (waitpid(gateway->pid, NULL, WNOHANG) != 0)
			gateway->pid = -1; /* it has ended */
		if (listens(gateway) && gateway->pid > 0)
			return true;
		nanosleep(&step, NULL);
	}
	gateway_stop(gateway);
	gateway->said[strcspn(gateway->said, "\n")] = '\0';
	return false;
}

void gateway_stop(struct gateway *gateway)
{
	if (gateway->pid > 0) {
		kill(gateway->pid, SIGTERM);
		waitpid(gateway->pid, NULL, 0);
	}
	if (gateway->log >= 0)
		close(gateway->log);
	gateway->pid = gateway->log = -1;
}

/* ---- traffic */

FILE *memory_file(const char *name, unsigned int flags, char path[32])
{
	int fd = memfd_create(name, flags);

	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd >= 0 && fchmod(fd, 0600) == 0 ? fdopen(fd, "w") : NULL;
}

static struct kolk_pool *pool_open(struct kolk_engine *engine, const struct options *o,
				   const char *address)
{
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	options.name = "gateway";
	options.address = address;
	options.driver = o->protocol->driver();
	options.connections_max = options.dials_max = options.waiters_max = o->callers;
	options.acquire_timeout_ns = 60000 * KOLK_MS_NS;
	return kolk_pool_add(engine, &options, &pool) == KOLK_OK ? pool : NULL;
}

/* An answer that the origin has not given is the gateway's own: a failure. */
static void count(const struct kit_origin *origin, const struct kit_origin_counts *before,
		  struct outcome *outcome)
{
	const struct kit_origin_counts after = kit_origin_counts(origin);
	const uint64_t answered = after.answered - before->answered;

	outcome->upstream = after.accepted - before->accepted;
	if (answered >= outcome->requests)
		return;
	outcome->failed += outcome->requests - answered;
	outcome->requests = answered;
	if (outcome->last_error == KOLK_OK)
		outcome->last_error = KOLK_E_PROTOCOL;
}

/* The gateway inherits its file, and finds it by number. */
const char *gateway_run(const struct front *front, const struct behind *behind,
			struct outcome *outcome)
{
	static struct gateway gateway;
	struct options options = *front->options;
	struct kolk_pool *pool;
	char path[32];
	FILE *file = memory_file("gateway.yaml", 0, path);
	bool ok;

	if (file == NULL)
		return strerrordesc_np(errno);
	behind->configure(file, front, behind->servers);
	fflush(file);
	options.protocol = behind->protocol;
	options.tls = false;
	if (!gateway_start(&gateway, path)) {
		fclose(file);
		return gateway.said;
	}
	pool = pool_open(front->engine, &options, gateway.address);
	ok = pool != NULL;
	if (ok) {
		traffic_run(pool, &options, behind->what, outcome);
		ok = kolk_pool_close(pool, kolk_in_ms(5000)) == KOLK_OK;
	}
	gateway_stop(&gateway);
	fclose(file);
	return ok ? NULL : "its pool";
}

static void configure(FILE *file, const struct front *front, const void *servers)
{
	const struct gateway_places places = { front->options->ca, kit_origin_port(front->origin), 0 };

	(void)servers;
	gateway_configure(file, front->options, front->pooled, &places);
}

const char *gateway_traffic(const struct front *front, struct outcome *outcome)
{
	const struct behind behind = { protocol_find("http-get"), "behind kolk-gateway", configure,
				       NULL };
	const struct kit_origin_counts before = kit_origin_counts(front->origin);
	const char *why = gateway_run(front, &behind, outcome);

	if (why == NULL)
		count(front->origin, &before, outcome);
	return why;
}
