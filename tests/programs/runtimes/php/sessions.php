<?php
// Sessions that are kept for good in the leaky form; the fixed one forgets the oldest.

final class SessionStore
{
    private array $sessions = [];

    public function remember(int $id, string $mode): void
    {
        $this->sessions[$id] = str_repeat(chr(97 + $id % 26), 60000);
        if ($mode !== 'leaky') {
            unset($this->sessions[$id - 50]);
        }
    }
}

function render_page(int $id): int
{
    return strlen(str_repeat('x', 20000 + $id % 100));
}

$store = new SessionStore();
$until = time() + 1200;
for ($id = 0; time() < $until; $id++) {
    $store->remember($id, $argv[1]);
    render_page($id);
    usleep(40000);
}
