/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal as a whole, and as it was before: whatever signal ends us. */
#include "ctl/gmctl/gmctl.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"

static struct termios before;
static volatile sig_atomic_t entered, again;

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		return; /* nobody sees it */
}

static void enter(void)
{
	struct termios raw = before;

	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	entered = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	say(ENTER);
}

void gm_cli_screen_end(void) /* also out of signal handlers */
{
	if (!entered)
		return;
	entered = 0;
	say(LEAVE);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void ended(int signal_number)
{
	gm_cli_screen_end();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void stopped(int signal_number)
{
	(void)signal_number;
	gm_cli_screen_end();
	raise(SIGSTOP);
	enter(); /* somebody brought us back */
	again = 1;
}

static void resized(int signal_number)
{
	(void)signal_number;
	again = 1;
}

bool gm_cli_screen_again(void)
{
	bool was = again;

	again = 0;
	return was;
}

bool gm_cli_screen_begin(void)
{
	static const int ends[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,    SIGUSR1, SIGSEGV,
	                           SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGSYS};
	struct sigaction action = {.sa_handler = ended};

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &action, NULL);
	action.sa_handler = stopped;
	sigaction(SIGTSTP, &action, NULL);
	action.sa_handler = resized;
	sigaction(SIGWINCH, &action, NULL);
	atexit(gm_cli_screen_end);
	enter();
	return true;
}
