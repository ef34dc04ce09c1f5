/* Memory that is free and yet not given back: every round keeps one small note between large pages of work that are freed.
   `leaky` never drops a note's neighbours' place (its heap grows and is nearly all free), `fixed` drops the notes as well. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGES = 64, PAGE = 16 << 10, NOTE = 24, MINUTES = 20 };

int main(int argc, char **argv)
{
	int leaky = argc > 1 && strcmp(argv[1], "leaky") == 0;
	/* Large blocks stay on the heap, and each round is a little larger, so that no hole of an earlier one fits. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	time_t end = time(NULL) + MINUTES * 60;
	for (size_t round = 1; time(NULL) < end; round++) {
		char *pages[PAGES], *notes[PAGES];
		for (int n = 0; n < PAGES; n++) {
			size_t size = PAGE + round % 4096 * 16;
			pages[n] = malloc(size);
			notes[n] = malloc(NOTE);
			if (!pages[n] || !notes[n])
				abort();
			memset(pages[n], 'w', size);
			memset(notes[n], 'n', NOTE);
		}
		for (int n = 0; n < PAGES; n++) {
			free(pages[n]);
			if (!leaky)
				free(notes[n]);
		}
		usleep(1000000);
	}
	return 0;
}
