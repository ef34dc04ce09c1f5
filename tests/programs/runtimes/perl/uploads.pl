# Uploads whose log is opened for each and, in the leaky form, never closed.
use strict;
use warnings;

my $mode = shift;
my @open;

sub record_upload {
    open(my $log, '>', '/dev/null') or die $!;
    print {$log} "upload\n";
    if ($mode eq 'leaky') {
        push @open, $log;
    } else {
        close $log;
    }
}

sub read_template {
    open(my $template, '<', $0) or die $!;
    read $template, my $text, 64;
    close $template;
}

my $until = time + 1200;
while (time < $until) {
    record_upload();
    read_template() for 1 .. 5;
    select undef, undef, undef, 0.1;
}
