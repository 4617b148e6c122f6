/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - a kolk-gateway that runs, and clients of it. */
#include "tests/gateway/program/program.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of clients, and of who hears what the program says: other load may stop all of them for long. */
enum { PATIENCE_S = 60 };

/* ---- the program */

static bool write_file(const struct program *program, const struct program_file *parts)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "%s/gw.yaml", program->directory);
	file = fopen(path, "w");
	if (file == NULL)
		return FAILED("gw.yaml can be written");
	fprintf(file,
		"engine: {%s}\npools:\n%s"
		"gateway:\n  listen: [{address: \"127.0.0.1:0\"%s}]\n"
		"  access_log: {path: %s/access.log}\n%s  routes:\n%s",
		parts->engine != NULL ? parts->engine : "loops: 2", parts->pools,
		program->listener != NULL ? program->listener : "", program->directory,
		parts->gateway != NULL ? parts->gateway : "", parts->routes);
	return tap_check(fclose(file) == 0, "gw.yaml is written", __FILE__, __LINE__);
}

bool program_configure_with(struct program *program, const struct program_file *file)
{
	return write_file(program, file);
}

bool program_configure(struct program *program, const char *pools, const char *routes)
{
	return write_file(program, &(struct program_file){ .pools = pools, .routes = routes });
}

static bool readable(int fd, int ms)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, ms) > 0;
}

bool program_says(struct program *program, const char *text)
{
	uint64_t now_ms = tap_now_ms(), until_ms = now_ms + 1000 * PATIENCE_S;

	/* It may say other things for ever. */
	for (; strstr(program->said, text) == NULL; now_ms = tap_now_ms()) {
		size_t had = strlen(program->said);
		ssize_t size = 0;

		if (had < sizeof program->said - 1 && now_ms < until_ms &&
		    readable(program->err, (int)(until_ms - now_ms)))
			size = read(program->err, program->said + had, sizeof program->said - 1 - had);
		if (size <= 0) {
			tap_note("it said: %s", program->said);
			return false;
		}
		program->said[had + (size_t)size] = '\0';
	}
	return true;
}

/* A sanitizer has an allocator of its own. */
static bool can_be_counted(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return false;
#endif
#endif
	return true;
}

static bool count(struct program *program)
{
	char path[64];
	void *mapped;
	int fd;

	snprintf(path, sizeof path, "%s/counted", program->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *program->counted) != 0)
		return FAILED("there is a file for what is counted");
	mapped = mmap(NULL, sizeof *program->counted, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return FAILED("it is mapped");
	program->counted = mapped;
	return true;
}

uint64_t program_blocks(const struct program *program)
{
	return program->counted != NULL ? kolk__load_relaxed(&program->counted->blocks) : 0;
}

uint64_t program_bytes(const struct program *program)
{
	return program->counted != NULL ? kolk__load_relaxed(&program->counted->bytes) : 0;
}

uint64_t program_allocations(const struct program *program)
{
	return program->counted != NULL ? kolk__load_relaxed(&program->counted->made) : 0;
}

static void be_program(const struct program *program, int err)
{
	char path[64];

	if (program->counted != NULL) {
		snprintf(path, sizeof path, "%s/counted", program->directory);
		setenv(COUNTED_FILE, path, 1);
		setenv("LD_PRELOAD", GATEWAY_COUNTED, 1);
	}
	snprintf(path, sizeof path, "%s/gw.yaml", program->directory);
	dup2(err, STDERR_FILENO);
	execl(GATEWAY_PROGRAM, "kolk-gateway", "--config", path, (char *)NULL);
	_exit(127);
}

static bool launch(struct program *program)
{
	static const char listening[] = "listening at 127.0.0.1:";
	const char *at;
	int ends[2];

	if (pipe(ends) != 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(ends[1], F_SETFD, FD_CLOEXEC) != 0)
		return FAILED("there is a pipe");
	program->pid = fork();
	if (program->pid == 0)
		be_program(program, ends[1]);
	close(ends[1]);
	program->err = ends[0];
	if (!program_says(program, listening))
		return FAILED("the gateway listens");
	at = strstr(program->said, listening) + strlen(listening);
	if (strchr(at, '\n') == NULL && !program_says(program, "\n"))
		return FAILED("the gateway says where it listens");
	program->port = (uint16_t)strtol(at, NULL, 10);
	return true;
}

bool program_start_with(struct program *program, const struct program_file *file)
{
	*program = (struct program){ .directory = "/tmp/kolk-gateway-XXXXXX",
				     .listener = file->listener };
	if (mkdtemp(program->directory) == NULL)
		return FAILED("there is a directory");
	if (file->counted && can_be_counted() && !count(program))
		return false;
	return write_file(program, file) && launch(program);
}

bool program_start(struct program *program, const char *pools, const char *routes)
{
	return program_start_with(program,
				  &(struct program_file){ .pools = pools, .routes = routes });
}

bool program_reload(struct program *program)
{
	program->said[0] = '\0';
	kill(program->pid, SIGHUP);
	return program_says(program, "reload ") && program_says(program, "\n") &&
	       strstr(program->said, "reload done") != NULL;
}

bool program_stop(struct program *program, int ms)
{
	char command[64];
	int status = -1;
	bool ended;

	kill(program->pid, SIGTERM);
	ended = WITHIN_MS(ms, waitpid(program->pid, &status, WNOHANG) == program->pid);
	if (!ended) {
		kill(program->pid, SIGKILL);
		waitpid(program->pid, NULL, 0);
	}
	close(program->err);
	program->status = ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	program->blocks_left = program_blocks(program);
	if (program->counted != NULL)
		munmap(program->counted, sizeof *program->counted);
	snprintf(command, sizeof command, "rm -rf %s", program->directory);
	return system(command) == 0 && ended && status == 0;
}

uint32_t program_descriptors(const struct program *program)
{
	char path[64];
	uint32_t count = 0;
	DIR *fds;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)program->pid);
	fds = opendir(path);
	if (fds == NULL)
		FAILED("descriptors can be counted");
	for (const struct dirent *one; fds != NULL && (one = readdir(fds)) != NULL;)
		count += one->d_name[0] != '.';
	if (fds != NULL)
		closedir(fds);
	return count;
}

uint64_t program_resident(const struct program *program)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)program->pid);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%*u %llu", &pages) != 1)
		FAILED("statm can be read");
	if (file != NULL)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static bool file_has(const char *path, const char *text)
{
	char line[4096];
	bool has = false;
	FILE *file = fopen(path, "r");

	while (file != NULL && !has && fgets(line, sizeof line, file) != NULL)
		has = strstr(line, text) != NULL;
	if (file != NULL)
		fclose(file);
	return has;
}

bool program_logged(const struct program *program, const char *text)
{
	char path[64];

	snprintf(path, sizeof path, "%s/access.log", program->directory);
	return WITHIN_MS(5000, file_has(path, text));
}

/* ---- clients */

int program_connect(const struct program *program)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(program->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0)
		return fd;
	close(fd);
	return -1;
}

bool client_send(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

bool client_read(int fd, const char *delimiter, char text[PROGRAM_TEXT])
{
	size_t had = 0;
	ssize_t size;

	text[0] = '\0';
	while (delimiter == NULL || strstr(text, delimiter) == NULL) {
		size = recv(fd, text + had, PROGRAM_TEXT - 1 - had, 0);
		/* With a time-out it is not restarted (signal(7)), and a ring that this process had
		 * ends with what counts as a signal. */
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return delimiter == NULL && size == 0;
		had += (size_t)size;
		text[had] = '\0';
	}
	return true;
}

int program_ask(const struct program *program, const char *request, char text[PROGRAM_TEXT])
{
	int fd = program_connect(program), ended = 0;

	text[0] = '\0';
	if (fd < 0)
		return errno;
	if (!client_send(fd, request) || !client_read(fd, NULL, text))
		ended = errno;
	close(fd);
	return ended;
}

int program_curl(const struct program *program, const char *arguments, char text[PROGRAM_TEXT])
{
	char command[1024];
	size_t had = 0;
	FILE *out;

	snprintf(command, sizeof command, "curl -s -m %d --noproxy '*' http://127.0.0.1:%u%s",
		 PATIENCE_S, program->port, arguments);
	out = popen(command, "r");
	text[0] = '\0';
	if (out == NULL)
		return -1;
	while (had < PROGRAM_TEXT - 1 && !feof(out) && !ferror(out))
		had += fread(text + had, 1, PROGRAM_TEXT - 1 - had, out);
	text[had] = '\0';
	return WEXITSTATUS(pclose(out));
}

bool program_admin_says(const struct program *program, const char *socket, const char *path,
			const char *wanted, char text[PROGRAM_TEXT])
{
	char arguments[192];
	bool said;

	snprintf(arguments, sizeof arguments, "%s --unix-socket %s", path, socket);
	said = WITHIN_MS(10000, program_curl(program, arguments, text) == 0 &&
					strstr(text, wanted) != NULL);
	if (!said)
		tap_note("no '%s' in: %s", wanted, text);
	return said;
}
