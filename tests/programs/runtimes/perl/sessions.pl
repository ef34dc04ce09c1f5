# Sessions that are kept for good in the leaky form; the fixed one forgets the oldest.
use strict;
use warnings;

my $mode = shift;
my %sessions;

sub remember_session {
    my $id = shift;
    $sessions{$id} = chr(97 + $id % 26) x 60_000;
    delete $sessions{$id - 50} if $mode ne 'leaky';
}

sub render_page {
    my $id = shift;
    return length('x' x (20_000 + $id % 100));
}

my $until = time + 1200;
for (my $id = 0; time < $until; $id++) {
    remember_session($id);
    render_page($id);
    select undef, undef, undef, 0.04;
}
