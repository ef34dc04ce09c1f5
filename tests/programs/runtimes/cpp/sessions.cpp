// Opens sessions; `leaky` never closes them. `sessions leaky|fixed [SESSIONS ENTRIES]`: with counts, makes so many at once,
// says so, and waits for the end of its input.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>

namespace shop {

class Session {
public:
	virtual ~Session() = default;
	virtual std::size_t size() const = 0;
};

class OrderSession final : public Session {
public:
	std::size_t size() const override { return text_.size(); }

private:
	std::array<char, 2000> text_{};
};

class CacheEntry final : public Session {
public:
	std::size_t size() const override { return sizeof *this; }

private:
	long value_ = 1;
};

std::deque<std::unique_ptr<Session>> open_sessions;

[[gnu::noinline]] void open_session()
{
	open_sessions.push_back(std::make_unique<OrderSession>());
}

} // namespace shop

int main(int argc, char **argv)
{
	bool leaky = argc > 1 && std::strcmp(argv[1], "leaky") == 0;
	if (argc > 3) {
		for (long n = std::atol(argv[2]); n > 0; n--)
			shop::open_session();
		for (long n = std::atol(argv[3]); n > 0; n--)
			shop::open_sessions.push_back(std::make_unique<shop::CacheEntry>());
		std::puts("ready");
		std::fflush(stdout);
		while (std::getchar() != EOF) {
		}
		return 0;
	}
	auto end = std::chrono::steady_clock::now() + std::chrono::minutes(20);
	while (std::chrono::steady_clock::now() < end) {
		shop::open_session();
		if (!leaky && shop::open_sessions.size() > 100)
			shop::open_sessions.pop_front();
		std::this_thread::sleep_for(std::chrono::milliseconds(2));
	}
	return 0;
}
