# bash completion for klv-jobwatch: the program itself says what may come next.
# shellcheck shell=bash

_klv_jobwatch() {
    local word words=("${COMP_WORDS[@]:1:COMP_CWORD}") current=${COMP_WORDS[COMP_CWORD]} n
    # bash takes "--account=main" for three words.
    n=${#words[@]}
    if ((n >= 2)) && [[ $current == "=" ]]; then
        current="" words=("${words[@]:0:n-1}" "")
    elif ((n >= 3)) && [[ ${words[n-2]} == "=" ]]; then
        words=("${words[@]:0:n-2}" "$current")
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        case $word in
        :file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        :directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
        *) COMPREPLY+=("$word") ;;
        esac
    done < <("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
}
complete -F _klv_jobwatch klv-jobwatch
