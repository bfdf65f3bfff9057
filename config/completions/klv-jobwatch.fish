# fish completion for klv-jobwatch: the program itself says what may come next.

function __klv_jobwatch_offers
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in ($before[1] complete -- $before[2..-1] "$current" 2>/dev/null)
        switch $line
            case :file
                __fish_complete_path "$current"
            case :directory
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end

complete -c klv-jobwatch -f -a '(__klv_jobwatch_offers)'
