/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.c - a library that has Kolk in it, or needs it: what a host loads, uses and unloads. */
#include <arpa/inet.h>
#include <kolk/kolk.h>
#include <kolk/ops/admin.h>
#include <kolk/redis.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

KOLK_API bool plugin_use(void);

/* ---- a server that answers one connection's commands, whatever they are */

static void *serve(void *arg)
{
	int listener = (int)(intptr_t)arg, fd = accept(listener, NULL, NULL);
	char data[4096];
	ssize_t size;

	while ((size = read(fd, data, sizeof data)) > 0)
		for (ssize_t i = 0; i < size; i++)
			(void)!write(fd, "+PONG\r\n", data[i] == '*' ? 7 : 0);
	close(fd);
	close(listener);
	return NULL;
}

static bool server_start(pthread_t *thread, char address[32])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		return false;
	snprintf(address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
	return pthread_create(thread, NULL, serve, (void *)(intptr_t)fd) == 0;
}

/* ---- Redis on a loop of this thread */

static void on_reply(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	*(enum kolk_err *)user = err;
	kolk_redis_reply_free(reply);
}

static enum kolk_err ask(struct kolk_engine *engine, struct kolk_pool *pool)
{
	static const char *const words[] = { "PING" };
	const struct kolk_redis_command ping = { .count = 1, .arguments = words };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	struct kolk_loop *loop = kolk_engine_loop(engine, 0);
	enum kolk_err told = KOLK_PENDING, err;

	request.count = 1;
	request.commands = &ping;
	(void)kolk_loop_step(loop, 0);
	err = kolk_redis_call_start(loop, kolk_pool_key(pool), &request, on_reply, &told, NULL);
	while (err == KOLK_PENDING && told == KOLK_PENDING)
		(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
	return err == KOLK_PENDING ? told : err;
}

static bool use_redis(void)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	char address[32];
	pthread_t server;
	bool fine;

	o.loops = 1;
	o.loop_owner = KOLK_LOOPS_EMBEDDER;
	p.name = "redis";
	p.address = address;
	p.driver = kolk_driver_redis();
	p.idle_min = KOLK_NONE;
	p.connections_max = 1;
	if (!server_start(&server, address) || kolk_engine_create(&o, &engine) != KOLK_OK)
		return false;
	fine = kolk_pool_add(engine, &p, &pool) == KOLK_OK && ask(engine, pool) == KOLK_OK;
	fine &= kolk_engine_destroy(engine) == KOLK_OK;
	pthread_join(server, NULL);
	return fine;
}

/* ---- workers and threads of loops; the admin server's */

static enum kolk_err create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static bool use_workers(void)
{
	struct kolk_resource_driver driver = KOLK_INIT(kolk_resource_driver);
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_admin_options a = KOLK_INIT(kolk_admin_options);
	struct kolk_admin *admin;
	struct kolk_engine *engine;
	struct kolk_lease lease;
	struct kolk_pool *pool;
	char listen_at[64];
	bool fine;

	snprintf(listen_at, sizeof listen_at, "unix:/tmp/kolk-unload-%d", (int)getpid());
	a.listen = listen_at;
	driver.create = create;
	p.name = "resource";
	p.resource = &driver;
	p.driver_user = &p;
	if (kolk_engine_create(&o, &engine) != KOLK_OK)
		return false;
	fine = kolk_pool_add(engine, &p, &pool) == KOLK_OK &&
	       kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease) == KOLK_OK &&
	       kolk_release(&lease) == KOLK_OK && kolk_admin_open(engine, &a, &admin) == KOLK_OK;
	if (fine)
		kolk_admin_close(admin);
	return kolk_engine_destroy(engine) == KOLK_OK && fine;
}

bool plugin_use(void)
{
	return use_redis() && use_workers();
}
