/* Takes orders; `leaky` forgets to free what it has answered. `orders leaky|fixed [COUNT [THREADS]]`: with a count, takes so
   many at once in each thread, prints what malloc says and what it holds itself, answers lines with the same, and ends at
   the end of its input. */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ORDER = 2000, RATE = 400, MINUTES = 20 };

struct order {
	struct order *next;
	char text[ORDER];
};

static struct order *answered;
static size_t kept;

__attribute__((noinline)) static struct order *take_order(void)
{
	struct order *order = malloc(sizeof *order);
	if (!order)
		abort();
	memset(order->text, 'o', sizeof order->text);
	return order;
}

static void answer(struct order *order, int leaky)
{
	if (!leaky) {
		free(order);
		return;
	}
	order->next = answered;
	answered = order;
}

static void *take_many(void *count)
{
	static __thread void **held, **holes;
	for (long n = (long)count; n > 0; n--) {
		void **one = malloc(24 + n % 7 * 16);
		if (!one)
			abort();
		*one = held;
		held = one;
		if (n % 5 == 0) {
			void **hole = malloc(1500 + n % 11 * 32);
			if (!hole)
				abort();
			*hole = holes;
			holes = hole;
		}
	}
	while (holes) {
		void **next = *holes;
		free(holes);
		holes = next;
	}
	__atomic_add_fetch(&kept, (long)count, __ATOMIC_RELAXED);
	return NULL;
}

static void say(void)
{
	struct mallinfo2 info = mallinfo2();
	printf("in_use=%zu free=%zu top=%zu fast=%zu mapped=%zu kept=%zu\n", info.uordblks, info.fordblks - info.keepcost,
	       info.keepcost, info.fsmblks, info.hblkhd, kept);
	fflush(stdout);
}

static int count_once(long count, int threads)
{
	pthread_t ids[64];
	char line[16];
	if (threads < 1)
		take_many((void *)count);
	for (int n = 0; n < threads && n < 64; n++)
		pthread_create(&ids[n], NULL, take_many, (void *)count);
	for (int n = 0; n < threads && n < 64; n++)
		pthread_join(ids[n], NULL);
	say();
	while (fgets(line, sizeof line, stdin))
		say();
	return 0;
}

int main(int argc, char **argv)
{
	int leaky = argc > 1 && strcmp(argv[1], "leaky") == 0;
	if (argc > 2)
		return count_once(atol(argv[2]), argc > 3 ? atoi(argv[3]) : 0);
	for (time_t end = time(NULL) + MINUTES * 60; time(NULL) < end;) {
		answer(take_order(), leaky);
		usleep(1000000 / RATE);
	}
	return 0;
}
