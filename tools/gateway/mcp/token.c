/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - the token that an MCP server is shown: read again when its file changes. */
#define _GNU_SOURCE /* explicit_bzero, strerrordesc_np */
#include "tools/gateway/mcp/token.h"

#include <errno.h>
#include <fcntl.h>
#include <kolk/kolk.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tools/gateway/say.h"

enum {
	TOKEN_MAX = 8192,
	/* A file that was written so lately may be written once more with the same time: the kernel's
	 * clock of files has steps of up to 10 ms. */
	FRESH_MS = 50
};

struct gw_mcp_tokens {
	char *path;
	char (*shown)[TOKEN_MAX];    /* of each loop: what its last request shows */
	uint32_t loop_count;
	pthread_mutex_t lock;
	/* Under it: */
	struct stat read;            /* the file, as it was read; st_ino 0 = read it again */
	struct gw_mcp_holder *holders, *now, *last; /* last: the last one that was `now` */
	const char *said;            /* what is wrong with the file, as standard error has it; static */
	/* W: under the lock. R: any. Means: how often `now` became another one. */
	kolk__atomic_u64 changes;
};

struct gw_mcp_tokens *gw_mcp_tokens_open(const char *path, uint32_t loop_count)
{
	struct gw_mcp_tokens *tokens = calloc(1, sizeof *tokens);

	if (tokens == NULL)
		return NULL;
	pthread_mutex_init(&tokens->lock, NULL);
	tokens->loop_count = loop_count;
	tokens->path = strdup(path);
	tokens->shown = calloc(loop_count, sizeof *tokens->shown);
	if (tokens->path != NULL && tokens->shown != NULL)
		return tokens;
	gw_mcp_tokens_free(tokens);
	return NULL;
}

static void token_free(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void gw_mcp_tokens_free(struct gw_mcp_tokens *tokens)
{
	struct gw_mcp_holder *next;

	if (tokens == NULL)
		return;
	for (struct gw_mcp_holder *holder = tokens->holders; holder != NULL; holder = next) {
		next = holder->next;
		token_free(holder->text);
		free(holder);
	}
	if (tokens->shown != NULL)
		explicit_bzero(tokens->shown, tokens->loop_count * sizeof *tokens->shown);
	free(tokens->shown);
	free(tokens->path);
	pthread_mutex_destroy(&tokens->lock);
	free(tokens);
}

/* ---- the file; under the lock */

static struct gw_mcp_holder *holder_of(struct gw_mcp_tokens *tokens, const char *text)
{
	struct gw_mcp_holder *holder = tokens->holders;
	struct gw_principal who;

	if (!gw_principal_of(text, &who))
		return NULL;
	if (!who.readable)
		memset(who.digest, 0, sizeof who.digest);
	while (holder != NULL && memcmp(holder->who.digest, who.digest, sizeof who.digest) != 0)
		holder = holder->next;
	if (holder != NULL)
		return holder;
	holder = calloc(1, sizeof *holder);
	if (holder == NULL)
		return NULL;
	holder->tokens = tokens;
	holder->who = who;
	holder->next = tokens->holders;
	tokens->holders = holder;
	return holder;
}

static bool take(struct gw_mcp_tokens *tokens, const char *text)
{
	struct gw_mcp_holder *holder = holder_of(tokens, text);
	char *copy = holder != NULL ? strdup(text) : NULL;

	if (copy == NULL)
		return false;
	token_free(holder->text);
	holder->text = copy;
	if (tokens->last != NULL && tokens->last != holder)
		kolk__own_add(&tokens->changes, 1);
	tokens->now = tokens->last = holder;
	return true;
}

static bool is_fresh(const struct stat *file)
{
	struct timespec now;
	int64_t age_ms;

	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (now.tv_sec - file->st_mtim.tv_sec) * 1000 +
		 (now.tv_nsec - file->st_mtim.tv_nsec) / 1000000;
	return age_ms < FRESH_MS;
}

/* Requests end as if the server had refused them, so standard error says why: once, until it is
 * something else, or a token is read (NULL). */
static void say_why(struct gw_mcp_tokens *tokens, const char *why)
{
	if (tokens->said == why)
		return;
	tokens->said = why;
	if (why != NULL)
		gw_say("mcp.token_file %s: %s: its server is asked for nothing until there is a "
		       "token", tokens->path, why);
}

/* What is wrong with what was read, and with its first line; NULL = nothing. */
static const char *flaw_of(ssize_t size, const char *line)
{
	if (size < 0)
		return strerrordesc_np(errno);
	if (size == TOKEN_MAX)
		return "longer than a token may be";
	return line[0] == '\0' ? "its first line is empty" : NULL;
}

/* An empty file is being written: the token before is the last one that is known. */
static void read_file(struct gw_mcp_tokens *tokens, const struct stat *file)
{
	int fd = open(tokens->path, O_RDONLY | O_CLOEXEC);
	char text[TOKEN_MAX];
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);
	const char *flaw;

	text[size > 0 && size < TOKEN_MAX ? size : 0] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	flaw = flaw_of(size, text);
	if (fd >= 0)
		close(fd);
	tokens->read.st_ino = 0;
	if (size == 0 && tokens->now != NULL)
		return;
	if (flaw == NULL && !take(tokens, text))
		flaw = "out of memory";
	if (flaw != NULL)
		tokens->now = NULL;
	else if (!is_fresh(file))
		tokens->read = *file;
	explicit_bzero(text, sizeof text);
	say_why(tokens, flaw);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct gw_mcp_holder *look(struct gw_mcp_tokens *tokens)
{
	struct stat file;

	if (stat(tokens->path, &file) != 0) {
		tokens->read.st_ino = 0;
		say_why(tokens, strerrordesc_np(errno));
		return NULL;
	}
	if (!is_same(&file, &tokens->read))
		read_file(tokens, &file);
	return tokens->now;
}

/* ---- asked for; the lock makes it one reader for all that see a change */

struct gw_mcp_holder *gw_mcp_tokens_look(struct gw_mcp_tokens *tokens)
{
	struct gw_mcp_holder *holder;

	pthread_mutex_lock(&tokens->lock);
	holder = look(tokens);
	pthread_mutex_unlock(&tokens->lock);
	return holder;
}

uint64_t gw_mcp_tokens_changes(const struct gw_mcp_tokens *tokens)
{
	return kolk__load_relaxed(&tokens->changes);
}

bool gw_mcp_holder_digest(const struct gw_mcp_holder *holder, uint8_t digest[32])
{
	bool ok;

	pthread_mutex_lock(&holder->tokens->lock);
	ok = holder->text != NULL &&
	     gw_sha256(&(struct gw_bytes){ (const uint8_t *)holder->text, strlen(holder->text) },
		       digest);
	pthread_mutex_unlock(&holder->tokens->lock);
	return ok;
}

enum kolk_err gw_mcp_on_credentials(void *user, struct kolk_key *key,
				    struct kolk_credentials *credentials)
{
	struct gw_mcp_holder *holder = user;
	struct gw_mcp_tokens *tokens = holder != NULL ? holder->tokens : NULL;
	char *shown;
	bool known;

	(void)key;
	if (tokens == NULL)
		return KOLK_E_AUTH;
	shown = tokens->shown[kolk_loop_index(kolk_loop_current())];
	pthread_mutex_lock(&tokens->lock);
	known = look(tokens) != NULL;
	if (known)
		strcpy(shown, holder->text);
	pthread_mutex_unlock(&tokens->lock);
	credentials->secret = shown;
	credentials->secret_size = strlen(shown);
	return known ? KOLK_OK : KOLK_E_AUTH;
}
