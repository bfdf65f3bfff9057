/*
 * terminal: what stdout is, and how to behave there: width, UTF-8 or ASCII, colours, a pager, live views.
 *
 * A terminal is stdout when isatty(3); its size is asked anew after each resize. UTF-8 is used when the locale says so
 * (LC_ALL, LC_CTYPE, LANG), colours on a terminal unless NO_COLOR is set or TERM is "dumb". A live view draws each frame
 * with one write(2) over the last one, on the alternate screen, and gives the screen back whole: at Ctrl-C, SIGTERM, SIGHUP,
 * when it is stopped by Ctrl-Z, and when the reader of a pipe is gone.
 */
#ifndef KLV_TERMINAL_H
#define KLV_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct terminal {
    bool is_screen; /* stdout is a terminal (or was, before the pager) */
    bool colour;
    bool utf8;
    bool utc;   /* times are told in UTC, else in local time */
    int width;  /* columns; 0: no limit, as in a pipe */
    int height; /* lines; 0: no limit */
};

/* Looks at stdout and the environment; also has SIGPIPE ignored, so that writing ends with EPIPE. */
void terminal_init(struct terminal *terminal, bool utc);

enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GOOD,
    STYLE_WARN,
    STYLE_BAD,
};

/* The escape sequence that begins a style, and the one that ends any; "" without colours. */
const char *terminal_style(const struct terminal *terminal, enum style style);
const char *terminal_plain(const struct terminal *terminal, enum style style);

/* Columns that a clean text takes. */
int terminal_text_width(const struct terminal *terminal, const char *text);

/* A copy fit for this terminal: clean, and without UTF-8 "?" for each character beyond ASCII. NULL without memory. */
char *terminal_text(const struct terminal *terminal, const char *text);

/* The bytes of the beginning (or, from_end, of the end) of text that take at most `width` columns; *ret_width how many they
 * take. */
size_t terminal_cut(const struct terminal *terminal, const char *text, int width, bool from_end,
                    int *ret_width);

/* The mark of what was left out. */
const char *terminal_ellipsis(const struct terminal *terminal);

/*
 * When stdout is a terminal, send what follows on stdout through $PAGER (else less, else more). Returns what
 * pager_finish() wants: 0 when there is none.
 */
pid_t pager_start(const struct terminal *terminal);

/* Ends the output and waits until the person has left the pager. False when it could not be written; a reader that left
 * early is no failure. */
bool pager_finish(pid_t pager);

/* ---- live views ---- */

struct live {
    struct terminal *terminal;
    int signals;     /* signalfd */
    char *last;      /* the frame on the screen */
    bool has_screen; /* we drew on the alternate screen */
};

enum live_news {
    LIVE_TIMEOUT,
    LIVE_RESIZED, /* terminal->width and height are the new ones */
    LIVE_END,     /* Ctrl-C, SIGTERM, SIGHUP, or nobody reads any more */
};

/* From here on SIGINT and its like are news. False when signals cannot be had. */
bool live_begin(struct live *live, struct terminal *terminal);

/* Show a frame (lines that end in "\n", none wider than the terminal); on a screen only. False when it cannot be written. */
bool live_show(struct live *live, const char *frame);

/* Wait for at most so many ms. */
enum live_news live_wait(struct live *live, int ms);

/* The screen is as it was before. */
void live_end(struct live *live);

#endif
