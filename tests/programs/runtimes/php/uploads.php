<?php
// Uploads whose log is opened for each and, in the leaky form, never closed.

final class UploadLog
{
    private static array $open = [];

    public static function record(string $mode): void
    {
        $log = fopen('/dev/null', 'w');
        fwrite($log, "upload\n");
        if ($mode === 'leaky') {
            self::$open[] = $log;
        } else {
            fclose($log);
        }
    }
}

function read_template(): void
{
    $template = fopen(__FILE__, 'r');
    fread($template, 64);
    fclose($template);
}

$until = time() + 1200;
while (time() < $until) {
    UploadLog::record($argv[1]);
    for ($i = 0; $i < 5; $i++) {
        read_template();
    }
    usleep(100000);
}
